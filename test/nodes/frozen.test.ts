import { afterEach, expect, test, vi } from "vitest";
import { examine } from "../support/chaos/checks.ts";
import { Cluster } from "../support/chaos/cluster.ts";
import { framesOf, readUntil } from "../support/read-events.ts";
import { runsOf } from "../support/runs.ts";

let cluster: Cluster;

afterEach(() => cluster.close());

test("a server that was frozen past its lease sends nothing more of its runs but their stored end, and begins no tool", {
  retry: 1,
  timeout: 120_000,
}, async () => {
  cluster = await Cluster.create("postgres", { nodes: 2, lease: 1500 });
  const [frozen, other] = cluster.nodes as [Cluster["nodes"][0], Cluster["nodes"][0]];
  await frozen.start();
  // The model answers while the server is frozen: when it wakes, the calls of tools lie there to be begun.
  const message = `[[reason=${"a long thought ".repeat(40)}]] [[delay=50]] [[tool=effect {"ms":0}]]`;
  const accepted = await runsOf(frozen).create({ message, background: true });
  const { run_id: background } = (await accepted.json()) as { run_id: string };
  await vi.waitUntil(async () => (await runsOf(frozen).get(background)).status === "running");
  const stream = await runsOf(frozen).create({ message, stream: true });
  const reader = stream.body!.getReader();
  let text = await readUntil(reader, "ReasoningContentDelta");
  const foreground = /"run_id":"([^"]+)"/.exec(text)![1]!;
  const ended = (async () => {
    const decoder = new TextDecoder();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += decoder.decode(part.value, { stream: true });
    }
  })();
  const { pid } = frozen;
  const frozenSince = Date.now();
  frozen.freeze();
  await other.start();
  expect(await runsOf(other).ended(foreground)).toMatchObject({
    status: "error",
    error_type: "server_stopped",
  });
  expect(await runsOf(other).ended(background)).toMatchObject({ status: "completed" });
  const before = text;

  frozen.thaw();
  await ended;
  expect(framesOf(text.slice(before.length)).map(({ data }) => data)).toEqual([
    expect.objectContaining({ event: "RunError", run_id: foreground, error_type: "server_stopped" }),
  ]);
  // It serves again, and has written nothing more of what was taken from it.
  expect(await runsOf(frozen).get(background)).toMatchObject({ status: "completed" });
  await vi.waitUntil(async () => (await fetch(`${frozen.url}/readyz`)).status === 200);
  const again = await runsOf(frozen).create({ message: "hi", stream: false });
  expect(await again.json()).toMatchObject({ status: "completed" });
  const effects = (await cluster.effects()).filter(({ at }) => at > frozenSince);
  expect(effects.filter((line) => line.pid === pid)).toEqual([]);
  expect(effects.filter(({ phase }) => phase === "begin")).toEqual([
    expect.objectContaining({ run: background, pid: other.pid }),
  ]);
  const { counts, ...found } = examine({ ...(await cluster.stored()), asked: [], readings: [], effects });
  expect(found).toEqual({ lost: [], doubled: [], repeated: [], wrong: [] });
  expect(counts.takeovers).toBe(1);
  expect(frozen.falls).toEqual([]);
});

test("a live run is never taken over: neither while others start, stop and die, nor in a tool that outlasts the lease", {
  retry: 1,
  timeout: 120_000,
}, async () => {
  const lease = 3000;
  cluster = await Cluster.create("postgres", { nodes: 3, lease });
  const [first, ...others] = cluster.nodes as [Cluster["nodes"][0], ...Cluster["nodes"]];
  await first.start();
  const message = `[[tool=effect {"ms":${2.5 * lease}}]]`;
  const ids = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const answer = await runsOf(first).create({ message, background: true });
      return ((await answer.json()) as { run_id: string }).run_id;
    }),
  );
  const foreground = Array.from({ length: 4 }, async () => {
    const answer = await runsOf(first).create({ message, stream: false });
    return answer.json() as Promise<{ status: string }>;
  });
  await vi.waitUntil(async () => {
    const begun = (await cluster.effects()).filter(({ phase }) => phase === "begin");
    return begun.length === ids.length + foreground.length;
  }, 20_000);
  for (const other of others) await other.start();
  await others[0]!.stop();
  await others[1]!.kill();
  await others[0]!.start();
  for (const run of await Promise.all(foreground)) expect(run).toMatchObject({ status: "completed" });
  for (const id of ids) expect(await runsOf(first).ended(id)).toMatchObject({ status: "completed" });
  const { rows, stretches } = await cluster.stored();
  expect(rows.filter(({ attempt, crashes }) => attempt !== 1 || crashes !== 0)).toEqual([]);
  const effects = await cluster.effects();
  const { counts, ...found } = examine({ rows, stretches, asked: [], readings: [], effects });
  expect(found).toEqual({ lost: [], doubled: [], repeated: [], wrong: [] });
  expect(counts).toMatchObject({ takeovers: 0, begunTwice: 0, tools: 12 });
});
