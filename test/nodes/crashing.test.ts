import { afterEach, describe, expect, test, vi } from "vitest";
import { Cluster } from "../support/chaos/cluster.ts";
import { engines } from "../support/engines.ts";
import { runsOf } from "../support/runs.ts";
import { Traces } from "../support/traces.ts";

describe.each(engines)("on $name", { retry: 1 }, ({ name }) => {
  let cluster: Cluster;

  afterEach(() => cluster.close());

  test("a run that kills its server three times ends as error, and the third time no other is beside it", {
    timeout: 120_000,
  }, async () => {
    cluster = await Cluster.create(name, { nodes: 1, lease: 1000 });
    const [server] = cluster.nodes as [Cluster["nodes"][0]];
    await server.start();
    const inBackground = async (message: string) => {
      const answer = await runsOf(server).create({ message, background: true });
      return ((await answer.json()) as { run_id: string }).run_id;
    };
    const deadly = await inBackground('[[tool=die {"ms":1500}]]');
    const begun = (times: number) =>
      vi.waitUntil(async () => (await cluster.effects()).length === times, 20_000);
    const fallen = (times: number) => vi.waitUntil(() => server.falls.length === times, 20_000);
    await fallen(1);
    await server.start();
    await fallen(2);
    await server.start();
    await begun(3);
    const others = await Promise.all([inBackground("hi"), inBackground("ho")]);
    await fallen(3);
    await server.start();
    expect(await runsOf(server).ended(deadly)).toMatchObject({
      status: "error",
      error_type: "crashed_too_often",
    });
    const { tree } = await new Traces(server.url).ofRun(deadly);
    expect(tree).toMatchObject([{ type: "AGENT", status: "ERROR", metadata: { run_status: "error" } }]);
    for (const id of others) expect(await runsOf(server).ended(id)).toMatchObject({ status: "completed" });
    // A run that was begun beside it would have been begun twice.
    const rows = await cluster.rows<{ attempt: number; crashes: number }>(
      `SELECT attempt, crashes FROM runs WHERE run_id <> '${deadly}'`,
    );
    expect(rows.map((row) => ({ ...row }))).toEqual(others.map(() => ({ attempt: 1, crashes: 0 })));
  });
});
