import { AgentOSClient, fold, type RunEvent } from "agentos-ts/client";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { seeded, startCuttingProxy } from "../support/cutting-proxy.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** Following a session, over a network that fails. */

let server: TestServer;
let client: AgentOSClient;
beforeAll(async () => {
  server = await startServer();
  client = new AgentOSClient({ baseUrl: server.url });
});
afterAll(() => server.close());

/** Reads until so many runs have ended. */
async function untilEnded(events: AsyncIterable<RunEvent>, runs: number): Promise<RunEvent[]> {
  const got: RunEvent[] = [];
  let left = runs;
  for await (const event of events) {
    got.push(event);
    if (event.event === "RunCompleted" && --left === 0) return got;
  }
  throw new Error(`It ended with ${left} runs to come`);
}

test("three tabs see every event of every run once, whatever the network does", {
  timeout: 90_000,
}, async () => {
  const session = { sessionId: "shared" };
  await client.sessions.create(session);
  const random = seeded(5);
  const tabs = await Promise.all(
    [1, 2, 3].map(async () => {
      const proxy = await startCuttingProxy(server.url, () => 3000 + Math.floor(random() * 15_000));
      onTestFinished(() => proxy.close());
      const tab = new AgentOSClient({ baseUrl: proxy.url });
      // Each of them is there before anything runs.
      const events = tab.sessions.follow("shared", { wait: true });
      return { proxy, seen: untilEnded(events, 3) };
    }),
  );
  const run = (tokens: number) =>
    untilEnded(client.agents.stream("copilot", `[[tokens=${tokens}]] [[delay=20]]`, session), 1);
  // Two side by side, and one once they are done.
  await Promise.all([run(80), run(120)]);
  await run(40);
  const runs = (await client.sessions.runs("shared")).data;
  for (const { proxy, seen } of tabs) {
    const byRun = Map.groupBy(await seen, ({ run_id }) => run_id);
    expect([...byRun.keys()].toSorted()).toEqual(runs.map(({ run_id }) => run_id).toSorted());
    for (const run of runs) {
      const events = byRun.get(run.run_id)!;
      expect(events.map(({ event_index }) => event_index)).toEqual(events.map((_, i) => i));
      expect(fold(events)).toMatchObject({ status: run.status, content: run.content });
    }
    expect(proxy.cuts).toBeGreaterThan(0);
  }
});

test("without wait it ends when nothing runs; of an unknown session it is told", async () => {
  const stream = client.agents.stream("copilot", "[[tokens=40]] [[delay=20]]", { sessionId: "short" });
  const own = stream[Symbol.asyncIterator]();
  await own.next();
  const seen: RunEvent[] = [];
  for await (const event of client.sessions.follow("short")) seen.push(event);
  expect(seen[0]).toMatchObject({ event: "RunStarted", event_index: 0 });
  expect(seen.at(-1)?.event).toBe("RunCompleted");
  for await (const _ of own);
  for await (const event of client.sessions.follow("short")) throw new Error(`${event.event} came`);
  await expect(client.sessions.follow("none").next()).rejects.toMatchObject({ status: 404 });
});

test("one that waits ends with its signal", async () => {
  await client.sessions.create({ sessionId: "quiet" });
  const aborted = new AbortController();
  const next = client.sessions.follow("quiet", { wait: true, signal: aborted.signal }).next();
  setTimeout(() => aborted.abort(), 100);
  await expect(next).rejects.toMatchObject({ name: "AbortError" });
});
