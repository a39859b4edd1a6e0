import { setTimeout as wait } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import { examine } from "../support/chaos/checks.ts";
import { Cluster } from "../support/chaos/cluster.ts";
import { runsOf } from "../support/runs.ts";

let cluster: Cluster;

afterEach(() => cluster.close());

test("while PostgreSQL is away for longer than a lease nobody exits, new runs are refused, and background runs go on, none of them to blame", {
  retry: 1,
  timeout: 120_000,
}, async () => {
  const lease = 2000;
  cluster = await Cluster.create("postgres", { nodes: 2, lease });
  await cluster.start();
  const [first] = cluster.nodes as [Cluster["nodes"][0]];
  const ids = await Promise.all(
    Array.from({ length: 6 }, async () => {
      const answer = await runsOf(first).create({ message: "[[tokens=120]] [[delay=30]]", background: true });
      return ((await answer.json()) as { run_id: string }).run_id;
    }),
  );
  const running = () =>
    cluster.rows<{ crashes: number }>("SELECT crashes FROM runs WHERE status = 'running'");
  await vi.waitUntil(async () => (await running()).length === ids.length, 10_000);

  await cluster.postgres!.halt("immediate");
  for (const node of cluster.nodes) {
    expect((await fetch(`${node.url}/readyz`)).status).toBe(503);
    const refused = await runsOf(node).create({ message: "hi", stream: false });
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await fetch(`${node.url}/health`)).status).toBe(200);
  }
  // Both have lost their leases by then.
  await wait(1.5 * lease);
  await cluster.postgres!.start();

  const blamed: unknown[] = [];
  for (let open = true; open; ) {
    const rows = await cluster.rows<{ crashes: number; status: string }>("SELECT crashes, status FROM runs");
    blamed.push(...rows.filter(({ crashes }) => crashes > 0));
    open = rows.some(({ status }) => status === "pending" || status === "running");
  }
  expect(blamed).toEqual([]);
  for (const id of ids) expect(await runsOf(first).get(id)).toMatchObject({ status: "completed" });
  for (const node of cluster.nodes) {
    expect(node.falls).toEqual([]);
    await vi.waitUntil(async () => (await fetch(`${node.url}/readyz`)).status === 200, 10_000);
  }
  const { counts: _, ...found } = examine({
    ...(await cluster.stored()),
    asked: [],
    readings: [],
    effects: await cluster.effects(),
  });
  expect(found).toEqual({ lost: [], doubled: [], repeated: [], wrong: [] });
});
