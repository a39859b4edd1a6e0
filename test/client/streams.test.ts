import { AgentOSClient, fold, type RunEvent } from "agentos-ts/client";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { seeded, startCuttingProxy } from "../support/cutting-proxy.ts";
import { add, wipe } from "../support/run-tools.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { proxyOf } from "../support/tcp-proxy.ts";

/** Streams of the client against a real server, over a network that fails. */

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ agent: { tools: [add, wipe] } });
});
afterAll(() => server.close());

/** A client that comes back at once, as far as the server lets it. */
const clientOf = (baseUrl: string) => new AgentOSClient({ baseUrl, retryDelay: 0.01, maxRetryDelay: 0.05 });

async function all<T>(events: AsyncIterable<T>): Promise<T[]> {
  const got: T[] = [];
  for await (const event of events) got.push(event);
  return got;
}

const indexes = (events: readonly RunEvent[]) => events.map(({ event_index }) => event_index);
const upTo = (length: number) => Array.from({ length }, (_, i) => i);

/** That what was read is the run: every event once, in order, and their fold what is stored. */
async function mustBeWhole(events: readonly RunEvent[]): Promise<void> {
  expect(indexes(events)).toEqual(upTo(events.length));
  const run = await clientOf(server.url).runs.get("copilot", events[0]!.run_id);
  const { status, content, content_type, tools, requirements, session_state, metrics } = fold(events);
  expect({ status, content, content_type, tools, requirements, session_state, metrics }).toEqual({
    status: run.status,
    content: run.content,
    content_type: run.content_type,
    tools: run.tools,
    requirements: run.requirements,
    session_state: run.session_state,
    metrics: run.metrics,
  });
}

describe("a network that cuts connections at random", () => {
  test.concurrent.for([1, 2, 3])(
    "gives each event once, in order, until the end (seed %i)",
    async (seed, { onTestFinished }) => {
      const random = seeded(seed);
      // The first event must come through: only then is there a run to come back to.
      const proxy = await startCuttingProxy(server.url, () => 3000 + Math.floor(random() * 15_000));
      onTestFinished(() => proxy.close());
      const client = clientOf(proxy.url);
      const messages = [
        "[[tokens=120]] [[delay=10]]",
        "[[tokens=60]] [[delay=30]] [[reason=so it is]]",
        'add [[tool=add {"a":1,"b":2}]] [[delay=5]]',
        "[[tokens=200]]",
      ];
      const read = await Promise.all(
        messages.map((message) => all(client.agents.stream("copilot", message))),
      );
      for (const events of read) {
        expect(events.at(-1)?.event).toBe("RunCompleted");
        await mustBeWhole(events);
      }
      expect(proxy.cuts).toBeGreaterThan(3);
    },
  );

  test("a run that pauses ends its stream there, and its second part is numbered on", async () => {
    const random = seeded(4);
    // What continues a run is not sent twice: its first bytes must come through.
    const proxy = await startCuttingProxy(server.url, () => 2000 + Math.floor(random() * 4000));
    onTestFinished(() => proxy.close());
    const client = clientOf(proxy.url);
    const message = 'do [[tool=wipe {"path":"a"}]] [[delay=10]]';
    const first = await all(client.agents.stream("copilot", `${message} [[tokens=60]]`));
    const pause = first.at(-1)!;
    if (pause.event !== "RunPaused") throw new Error(`It ended with ${pause.event}`);
    expect(fold(first)).toMatchObject({ status: "paused", requirements: pause.requirements });
    expect(await all(client.runs.resume("copilot", pause.run_id, { after: pause.event_index }))).toEqual([]);
    const tools = pause.tools.map((tool) => ({ ...tool, confirmed: true }));
    const second = await all(client.runs.continueStream("copilot", pause.run_id, { tools }));
    expect(second[0]).toMatchObject({ event: "RunContinued", event_index: pause.event_index + 1 });
    await mustBeWhole([...first, ...second]);
    // Who reads it again from its start is not held up by the pause.
    expect(await all(client.runs.resume("copilot", pause.run_id))).toEqual([...first, ...second]);
    const late = all(client.runs.continueStream("copilot", pause.run_id, { tools }));
    await expect(late).rejects.toMatchObject({
      status: expect.toSatisfy((status) => status === 409 || status === 422),
    });
  });

  test.each(["stream", "run"] as const)(
    "a %s whose answer was lost is asked for again, and is the same run",
    async (how) => {
      let connections = 0;
      // The request arrives, and nothing of its answer; then the answer is cut before its first event.
      const proxy = await startCuttingProxy(server.url, () => [0, 150, 1e9][connections++] ?? 1e9);
      onTestFinished(() => proxy.close());
      const client = clientOf(proxy.url);
      const file = new File(["notes"], "notes.txt", { type: "text/plain" });
      const options = { sessionId: `lost-${how}`, files: [file] };
      if (how === "stream") await mustBeWhole(await all(client.agents.stream("copilot", "hello", options)));
      else
        expect(await client.agents.run("copilot", "hello", options)).toMatchObject({ status: "completed" });
      expect(proxy.cuts).toBe(2);
      expect((await client.runs.list("copilot", options.sessionId)).data).toHaveLength(1);
    },
  );

  test("a key of one's own makes of many calls one run", async () => {
    const client = clientOf(server.url);
    const options = { idempotencyKey: "order-17" };
    const runs = await Promise.all([1, 2, 3].map(() => client.agents.run("copilot", "pay", options)));
    expect(new Set(runs.map(({ run_id }) => run_id)).size).toBe(1);
    await expect(client.agents.run("copilot", "pay again", options)).rejects.toMatchObject({ status: 422 });
  });

  test("a resumed stream ends at once when its signal is aborted, and the run goes on", async () => {
    const { proxy, url } = await proxyOf(server.url);
    onTestFinished(() => proxy.close());
    const aborted = new AbortController();
    const stream = clientOf(url).agents.stream("copilot", "[[tokens=150]] [[delay=20]]", {
      signal: aborted.signal,
    });
    const got: RunEvent[] = [];
    const reading = (async () => {
      for await (const event of stream) {
        got.push(event);
        if (event.event_index === 10) {
          proxy.stop();
          proxy.resume();
        }
        if (event.event_index === 60) aborted.abort(new Error("enough"));
      }
    })();
    await expect(reading).rejects.toThrow("enough");
    expect(indexes(got)).toEqual(upTo(61));
    const rest = await all(clientOf(server.url).runs.resume("copilot", stream.runId!, { after: 60 }));
    expect(rest.at(-1)?.event).toBe("RunCompleted");
    await mustBeWhole([...got, ...rest]);
  });

  test("a resumed stream can be cancelled: it ends with what was said so far", async () => {
    const { proxy, url } = await proxyOf(server.url);
    onTestFinished(() => proxy.close());
    const stream = clientOf(url).agents.stream("copilot", "[[tokens=1000]] [[delay=20]]");
    const got: RunEvent[] = [];
    for await (const event of stream) {
      got.push(event);
      if (event.event_index === 10) {
        proxy.stop();
        proxy.resume();
      }
      if (event.event_index === 40) await stream.cancel();
    }
    expect(got.at(-1)?.event).toBe("RunCancelled");
    await mustBeWhole(got);
  });

  test("a connection that is silent for too long counts as cut", async () => {
    const { proxy, url } = await proxyOf(server.url);
    onTestFinished(() => proxy.close());
    const client = new AgentOSClient({ baseUrl: url, idleTimeout: 0.5 });
    const got: RunEvent[] = [];
    for await (const event of client.agents.stream("copilot", "[[tokens=30]] [[delay=20]]")) {
      got.push(event);
      if (event.event_index === 10) proxy.freeze();
    }
    expect(got.at(-1)?.event).toBe("RunCompleted");
    await mustBeWhole(got);
  });

  test("a server that does not come back ends the stream with an error", async () => {
    const { proxy, url } = await proxyOf(server.url);
    onTestFinished(() => proxy.close());
    const client = new AgentOSClient({ baseUrl: url, reconnects: 1, maxRetryDelay: 0.01 });
    const stream = client.agents.stream("copilot", "[[tokens=100]] [[delay=20]]");
    const reading = (async () => {
      for await (const { event_index } of stream) if (event_index === 5) proxy.stop();
    })();
    await expect(reading).rejects.toMatchObject({ code: "connection" });
    expect(stream.lastEventIndex).toBeGreaterThanOrEqual(5);
    const rest = await all(
      clientOf(server.url).runs.resume("copilot", stream.runId!, { after: stream.lastEventIndex }),
    );
    expect(rest.at(-1)?.event).toBe("RunCompleted");
  });
});

describe("a stream that nothing disturbs", () => {
  test("knows its run and session, and can be read once", async () => {
    const stream = clientOf(server.url).agents.stream("copilot", "hello", {
      sessionId: "quiet",
      userId: "ada",
    });
    expect(stream.runId).toBeUndefined();
    const events = await all(stream);
    await mustBeWhole(events);
    expect(stream).toMatchObject({
      runId: events[0]!.run_id,
      sessionId: "quiet",
      lastEventIndex: events.length - 1,
    });
    expect(() => stream[Symbol.asyncIterator]()).toThrow("read once");
  });

  test("leaves nothing behind on the signal it was given", async () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const counted = new Proxy(signal, {
      get(target, name) {
        if (name === "addEventListener") listeners++;
        if (name === "removeEventListener") listeners--;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    await all(clientOf(server.url).agents.stream("copilot", "hello", { signal: counted }));
    expect(listeners).toBe(0);
  });

  test("a reader who leaves the loop leaves the connection too, and not the run", async () => {
    const stream = clientOf(server.url).agents.stream("copilot", "[[tokens=20]] [[delay=10]]");
    for await (const { event_index } of stream) if (event_index === 3) break;
    const rest = await all(clientOf(server.url).runs.resume("copilot", stream.runId!, { after: 3 }));
    expect(rest[0]!.event_index).toBe(4);
    expect(rest.at(-1)?.event).toBe("RunCompleted");
  });

  test("a run that has ended is read again from any event on, and from its end there is nothing", async () => {
    const client = clientOf(server.url);
    const events = await all(client.agents.stream("copilot", "a b c"));
    const { run_id } = events[0]!;
    const last = events.length - 1;
    for (const after of [-1, 0, 3, last - 1, last]) {
      expect(await all(client.runs.resume("copilot", run_id, { after }))).toEqual(events.slice(after + 1));
    }
  });

  test("an error of the server ends it as it is", async () => {
    const client = clientOf(server.url);
    await expect(all(client.agents.stream("nobody", "hello"))).rejects.toMatchObject({
      name: "ApiError",
      status: 404,
      detail: "Agent not found",
      requestId: expect.any(String),
    });
    await expect(all(client.agents.stream("copilot", ""))).rejects.toMatchObject({
      status: 422,
      detail: [expect.objectContaining({ loc: ["body", "message"] })],
      message: expect.stringContaining("body.message"),
    });
    await expect(all(client.runs.resume("copilot", "run_none"))).rejects.toMatchObject({ status: 404 });
  });

  test("one that is cancelled before its first event waits for it; without one it is told", async () => {
    const client = clientOf(server.url);
    const stream = client.agents.stream("copilot", "[[tokens=500]] [[delay=10]]");
    const cancelling = stream.cancel();
    const events = await all(stream);
    await cancelling;
    expect(events.at(-1)?.event).toBe("RunCancelled");
    const refused = client.agents.stream("nobody", "hello");
    const inVain = expect(refused.cancel()).rejects.toMatchObject({ code: "connection" });
    await expect(all(refused)).rejects.toMatchObject({ status: 404 });
    await inVain;
  });
});
