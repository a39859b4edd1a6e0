import { AgentOSClient, type ClientOptions, type RunEvent, StreamGapError } from "agentos-ts/client";
import { describe, expect, test } from "vitest";
import {
  cut,
  frame,
  json,
  type SeenRequest,
  startScriptedServer,
  stream,
} from "../support/scripted-server.ts";

/** What a stream does when the server does what a real one does only when something is wrong. */

const clientOf = (baseUrl: string, options: Partial<ClientOptions> = {}) =>
  new AgentOSClient({ baseUrl, retryDelay: 0.01, ...options });

async function all(events: AsyncIterable<RunEvent>): Promise<number[]> {
  const got: number[] = [];
  for await (const { event_index } of events) got.push(event_index);
  return got;
}

const asked = ({ method, url, body }: SeenRequest) => ({ method, url, body: JSON.parse(body) });
const resumed = (after: number) => ({
  method: "POST",
  url: "/agents/copilot/runs/run_1/resume",
  body: { last_event_index: after },
});
const control = (event: string, more: object = {}) =>
  `event: ${event}\ndata: ${JSON.stringify({ event, run_id: "run_1", ...more })}\n\n`;
const end = (index: number) => frame(index, "RunCompleted");
const unavailable = (headers: Record<string, string> = {}) => json(503, { detail: "stopping" }, headers);

describe("what is cut off", () => {
  test("is asked for from the last event on, and what comes twice is given once", async () => {
    const { url, requests } = await startScriptedServer([
      stream([frame(0), frame(1), "id: 2\nevent: RunContent\ndata: {"], true),
      cut,
      unavailable(),
      stream([control("catch_up"), frame(0), frame(1), frame(2), control("subscribed"), frame(3)]),
      stream([end(4), frame(5)]),
    ]);
    expect(await all(clientOf(url).agents.stream("copilot", "hi"))).toEqual([0, 1, 2, 3, 4]);
    expect(requests.slice(1).map(asked)).toEqual([resumed(1), resumed(1), resumed(1), resumed(3)]);
  });

  test("a run that waits is not over, however its answer ends", async () => {
    const { url, requests } = await startScriptedServer([
      stream([control("replay", { status: "PENDING", total_events: 0 })]),
      stream([control("subscribed"), frame(0), end(1)]),
    ]);
    expect(await all(clientOf(url).runs.resume("copilot", "run_1"))).toEqual([0, 1]);
    expect(requests).toHaveLength(2);
  });

  test("a run that was paused and goes on is not over, when the next answer ends without an event", async () => {
    const { url } = await startScriptedServer([
      stream([frame(0), frame(1, "RunPaused")], true),
      stream([control("subscribed")]),
      stream([frame(2, "RunContinued"), end(3)]),
    ]);
    expect(await all(clientOf(url).agents.stream("copilot", "hi"))).toEqual([0, 1, 2, 3]);
  });

  test("a server that does not even answer is asked again", async () => {
    const { url, requests } = await startScriptedServer([() => undefined, stream([frame(0), end(1)])]);
    expect(await all(clientOf(url, { idleTimeout: 0.2 }).agents.stream("copilot", "hi"))).toEqual([0, 1]);
    const [first, second] = requests.map(({ headers }) => headers["idempotency-key"]);
    expect(first).toMatch(/^[0-9a-f]{32}$/);
    expect(second).toBe(first);
  });

  test("is read to its pause, and beyond one that was continued since", async () => {
    const pause = (index: number) => frame(index, "RunPaused");
    const { url, requests } = await startScriptedServer([
      stream([frame(0), pause(1)]),
      stream([control("replay", { total_events: 4 }), frame(0), pause(1), frame(2, "RunContinued")], true),
      stream([control("subscribed"), frame(3), pause(4)], true),
      stream([control("replay", { total_events: 0 })]),
    ]);
    const client = clientOf(url);
    expect(await all(client.agents.stream("copilot", "hi"))).toEqual([0, 1]);
    expect(await all(client.runs.resume("copilot", "run_1"))).toEqual([0, 1, 2, 3, 4]);
    expect(requests.slice(1).map(asked)).toEqual([resumed(-1), resumed(2), resumed(4)]);
  });

  test("ends where the server says that it has ended, also when its last event is not known", async () => {
    const { url } = await startScriptedServer([
      stream([control("replay", { total_events: 2 }), frame(3), frame(4, "RunSomething")]),
    ]);
    expect(await all(clientOf(url).runs.resume("copilot", "run_1", { after: 2 }))).toEqual([3, 4]);
  });

  test("the end of a run whose last events were lost is given, whatever its index", async () => {
    const { url } = await startScriptedServer([
      stream([frame(0), frame(1), frame(2), frame(3)], true),
      stream([control("replay", { total_events: 1 }), frame(2, "RunError")]),
    ]);
    expect(await all(clientOf(url).agents.stream("copilot", "hi"))).toEqual([0, 1, 2, 3, 2]);
  });

  test("a reader that is ahead of what a dead server stored comes back until the run is ended", async () => {
    const ahead = stream([control("error", { error: "There is none.", error_type: "ahead_of_log" })]);
    const { url } = await startScriptedServer([
      stream([frame(0), frame(1)], true),
      ahead,
      ahead,
      stream([control("replay", { total_events: 1 }), frame(1, "RunError")]),
      ahead,
    ]);
    expect(await all(clientOf(url).agents.stream("copilot", "hi"))).toEqual([0, 1, 1]);
    const wrong = all(clientOf(url).runs.resume("copilot", "run_1", { after: 5 }));
    await expect(wrong).rejects.toMatchObject({ message: "There is none." });
  });

  test("a continued run is numbered on from wherever its pause was", async () => {
    const { url, requests } = await startScriptedServer([
      stream([frame(7, "RunContinued"), frame(8)], true),
      stream([frame(9), end(10)]),
    ]);
    const tools = [{ tool_call_id: "call_1", confirmed: true }];
    expect(await all(clientOf(url).runs.continueStream("copilot", "run_1", { tools }))).toEqual([
      7, 8, 9, 10,
    ]);
    expect(requests.map(asked)).toEqual([
      { method: "POST", url: "/agents/copilot/runs/run_1/continue", body: { tools, stream: true } },
      resumed(8),
    ]);
  });

  test("a continue whose answer was lost is not sent again: it may have happened", async () => {
    const { url, requests } = await startScriptedServer([cut]);
    await expect(all(clientOf(url).runs.continueStream("copilot", "run_1"))).rejects.toMatchObject({
      code: "connection",
    });
    expect(requests).toHaveLength(1);
  });
});

describe("what is missing", () => {
  test.each([
    ["at the beginning", [stream([frame(2)])], 0, 2],
    ["in one answer", [stream([frame(0), frame(2)])], 1, 2],
    ["between two answers", [stream([frame(0)], true), stream([frame(3), end(4)])], 1, 3],
  ] as const)(
    "%s is an error that names what should have come and what came",
    async (_, answers, expected, received) => {
      const { url } = await startScriptedServer(answers);
      const error = await all(clientOf(url).agents.stream("copilot", "hi")).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(StreamGapError);
      expect(error).toMatchObject({ runId: "run_1", expected, received });
      expect((error as Error).message).toMatch(new RegExp(`event ${expected} .*${received} came`));
    },
  );
});

describe("what the server refuses", () => {
  test("a control frame that says error ends the stream with its text", async () => {
    const { url, requests } = await startScriptedServer([
      stream([frame(0)], true),
      stream([
        control("error", { error: "The events of this run are no longer kept.", error_type: "log_gone" }),
      ]),
    ]);
    await expect(all(clientOf(url).agents.stream("copilot", "hi"))).rejects.toMatchObject({
      code: "stream",
      runId: "run_1",
      errorType: "log_gone",
      message: "The events of this run are no longer kept.",
    });
    expect(requests).toHaveLength(2);
  });

  test.each([400, 403, 404, 409, 422, 429])("a %i ends it", async (status) => {
    const { url, requests } = await startScriptedServer([
      stream([frame(0)], true),
      json(status, { detail: "no" }, { "retry-after": "7" }),
    ]);
    await expect(all(clientOf(url).agents.stream("copilot", "hi"))).rejects.toMatchObject({
      status,
      detail: "no",
      retryAfter: 7,
    });
    expect(requests).toHaveLength(2);
  });

  test("an answer that is no stream of events ends it", async () => {
    const { url } = await startScriptedServer([json(200, {})]);
    await expect(all(clientOf(url).agents.stream("copilot", "hi"))).rejects.toMatchObject({
      code: "stream",
      message: expect.stringContaining("application/json"),
    });
  });

  test("data that is no event ends it", async () => {
    const { url } = await startScriptedServer([stream(["data: hello\n\n"])]);
    await expect(all(clientOf(url).agents.stream("copilot", "hi"))).rejects.toMatchObject({ code: "stream" });
  });

  test("tries that bring nothing are counted; an event begins the count anew", async () => {
    const { url, requests } = await startScriptedServer([
      stream([frame(0)], true),
      cut,
      stream([frame(1)], true),
      cut,
      unavailable(),
    ]);
    const reading = all(clientOf(url, { reconnects: 2 }).agents.stream("copilot", "hi"));
    await expect(reading).rejects.toMatchObject({ status: 503 });
    expect(requests).toHaveLength(5);
  });
});

describe("how long it waits", () => {
  /** Milliseconds between one request and the next. */
  async function waits(answers: Parameters<typeof startScriptedServer>[0], options: Partial<ClientOptions>) {
    const times: number[] = [];
    const { url } = await startScriptedServer(
      answers.map((answer) => (response, request) => {
        times.push(performance.now());
        answer(response, request);
      }),
    );
    await all(clientOf(url, options).agents.stream("copilot", "hi"));
    return times.slice(1).map((time, i) => time - times[i]!);
  }

  test("at least as long as the stream's retry: says, and Retry-After", async () => {
    const [retry = 0, retryAfter = 0] = await waits(
      [stream(["retry: 300\n\n", frame(0)], true), unavailable({ "retry-after": "1" }), stream([end(1)])],
      { maxRetryDelay: 0.01 },
    );
    expect(retry).toBeGreaterThanOrEqual(299);
    expect(retryAfter).toBeGreaterThanOrEqual(999);
  });

  test("longer with each failure, up to a bound", async () => {
    const failing = [cut, cut, cut, cut];
    const [, second = 0, , fourth = 0] = await waits(
      [stream([frame(0)], true), ...failing, stream([end(1)])],
      {
        retryDelay: 0.1,
        maxRetryDelay: 0.4,
      },
    );
    // Half of 0.2 s at least, and half of the bound.
    expect(second).toBeGreaterThanOrEqual(99);
    expect(fourth).toBeGreaterThanOrEqual(199);
  });

  test("no longer than until its signal is aborted", async () => {
    const { url } = await startScriptedServer([
      stream([frame(0)], true),
      unavailable({ "retry-after": "3600" }),
    ]);
    const aborted = new AbortController();
    const reading = all(clientOf(url).agents.stream("copilot", "hi", { signal: aborted.signal }));
    setTimeout(() => aborted.abort(), 100);
    await expect(reading).rejects.toMatchObject({ name: "AbortError" });
  });
});

describe("how frames arrive", () => {
  const twoLines = '{"event":"RunContent","event_index":1,\ndata: "run_id":"run_1","content":"ä🙂"}';
  const text = `: hello\n\nretry: 1\n\n${frame(0)}id\ndata:${twoLines}\n\n:\n\nevent: x\n\n${end(2)}`;

  test.each([1, 2, 3, 7].flatMap((size) => ["\n", "\r\n", "\r"].map((lineEnd) => [size, lineEnd] as const)))(
    "in pieces of %i bytes, with lines that end in %j",
    async (size, lineEnd) => {
      const bytes = new TextEncoder().encode(text.replaceAll("\n", lineEnd));
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.slice(i * size, (i + 1) * size),
      );
      const { url } = await startScriptedServer([stream(pieces)]);
      const got: RunEvent[] = [];
      for await (const event of clientOf(url).agents.stream("copilot", "hi")) got.push(event);
      expect(got).toMatchObject([{ event_index: 0 }, { content: "ä🙂" }, { event: "RunCompleted" }]);
    },
  );
});
