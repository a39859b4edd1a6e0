import { EchoModel, SqliteDb } from "agentos-ts";
import { describe, expect, test, vi } from "vitest";
import { engines } from "../support/engines.ts";
import { readEvents } from "../support/read-events.ts";
import { startServer } from "../support/server.ts";
import { proxyOf } from "../support/tcp-proxy.ts";

describe.each(engines)("on $name", (engine) => {
  test("a change of a session goes through while runs keep ending", async () => {
    const server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { model: new EchoModel() },
    });
    await server.run({ message: "hi", session_id: "mine", stream: false });
    let busy = true;
    const load = Array.from({ length: 32 }, async () => {
      while (busy) await server.run({ message: "more", stream: false });
    });
    for (const session_name of ["one", "two", "three"]) {
      const renamed = await fetch(`${server.url}/sessions/mine/rename`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ session_name }),
      });
      expect(renamed.status).toBe(200);
    }
    busy = false;
    await Promise.all(load);
    await server.close();
  });
});

describe("on postgres", () => {
  const postgres = engines[1]!;

  test("a run goes on while the database is away for a moment, and all of it is stored", async () => {
    const { proxy, url } = await proxyOf(await postgres.createLocation());
    const server = await startServer({ db: postgres.connect(url) });
    const running = server.run({ message: "go [[tokens=120]] [[delay=10]]", session_id: "one" });
    await vi.waitUntil(() => server.model.requests.length > 0);
    proxy.stop();
    await expect(server.run({ message: "meanwhile", stream: false }).then((r) => r.status)).resolves.toBe(
      503,
    );
    proxy.resume();
    const events = await readEvents(await running);
    expect(events.at(-1)).toMatchObject({
      event: "RunCompleted",
      content: expect.stringMatching(/word119 $/),
    });
    const runId = events[0]!.run_id;
    const stored = await (await fetch(`${server.url}/agents/copilot/runs/${runId}`)).json();
    expect(stored).toMatchObject({ status: "completed", content: expect.stringMatching(/word119 $/) });
    const replayed = await readEvents(
      await fetch(`${server.url}/agents/copilot/runs/${runId}/resume`, { method: "POST" }),
    );
    const indexes = replayed.flatMap((event) => ("event_index" in event ? [event.event_index] : []));
    expect(indexes).toEqual(events.map(({ event_index }) => event_index));
    await server.close();
    await proxy.close();
  });

  test("many runs that end while it is away end as soon as it is back, none as failed", async () => {
    const { proxy, url } = await proxyOf(await postgres.createLocation());
    const server = await startServer({ db: postgres.connect(url) });
    const running = Array.from({ length: 8 }, () =>
      server.run({ message: "go [[ttft=300]]", stream: false }),
    );
    await vi.waitUntil(() => server.model.requests.length === 8);
    proxy.freeze();
    proxy.stop();
    await vi.waitUntil(async () => (await fetch(`${server.url}/readyz`)).status === 503, { timeout: 15_000 });
    proxy.resume();
    for (const answer of await Promise.all(running)) {
      expect(await answer.json()).toMatchObject({ status: "completed" });
    }
    await server.close();
    await proxy.close();
  });
});

test("a stop is not held up by what follows a run", async () => {
  let asked = 0;
  const hangs = {
    id: "hangs",
    provider: "test",
    name: "Hangs",
    async *generate() {
      // The first answer is the run's; the title never comes, and the signal is not heard.
      if (asked++ > 0) await new Promise(() => undefined);
      yield { type: "text", delta: "hello" } as const;
    },
  };
  const server = await startServer({
    db: new SqliteDb({ path: ":memory:" }),
    agent: { model: hangs, autoNameSessions: true },
    os: { drainTimeout: 0.2 },
  });
  expect((await server.run({ message: "hi", stream: false })).status).toBe(200);
  await vi.waitUntil(() => asked === 2);
  await server.close();
});
