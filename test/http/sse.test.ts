import { pino } from "pino";
import { afterEach, describe, expect, test, vi } from "vitest";
import { openAccess } from "../../src/http/auth/caller.ts";
import { OpenStreams } from "../../src/http/auth/open-streams.ts";
import { eventFrames, eventStream } from "../../src/http/sse.ts";
import type { LogEntry } from "../../src/runs/run-log.ts";

afterEach(() => {
  vi.useRealTimers();
});

const toWire = ({ json }: LogEntry) => json;
const entry: LogEntry = { index: 0, event: "RunContent", json: '{"content":"hi"}' };

/** Reads what is there, and says how it went on: whether the stream ended, failed, or waits. */
async function text(stream: ReadableStream<Uint8Array>, reads: number): Promise<string> {
  const reader = stream.getReader();
  let got = "";
  for (let i = 0; i < reads; i++) {
    const { done, value } = await reader.read();
    if (done) break;
    got += new TextDecoder().decode(value);
  }
  reader.releaseLock();
  return got;
}

test("a stream tells browsers when to come back, then the events", async () => {
  async function* follow() {
    yield [entry];
  }
  const stream = eventStream(eventFrames(follow(), toWire));
  expect(await text(stream, 3)).toMatch(
    /^retry: \d+\n\nid: 0\nevent: RunContent\ndata: \{"content":"hi"\}\n\n$/,
  );
});

test("a silent stream is kept open by a comment every 15 seconds", async () => {
  vi.useFakeTimers();
  async function* follow(): AsyncGenerator<LogEntry[], void, void> {
    await new Promise(() => undefined);
  }
  const stream = eventStream(eventFrames(follow(), toWire));
  await text(stream, 1);
  for (const _ of [1, 2]) {
    await vi.advanceTimersByTimeAsync(15_000);
    expect(await text(stream, 1)).toBe(": keep-alive\n\n");
  }
  await stream.cancel();
});

test("a stream that nobody reads leaves nothing behind", () => {
  vi.useFakeTimers();
  async function* follow(): AsyncGenerator<LogEntry[], void, void> {
    await new Promise(() => undefined);
  }
  eventStream(eventFrames(follow(), toWire));
  expect(vi.getTimerCount()).toBe(0);
});

test("keep-alives do not pile up before a reader that takes nothing, and it is let go", async () => {
  vi.useFakeTimers();
  async function* follow(): AsyncGenerator<LogEntry[], void, void> {
    await new Promise(() => undefined);
  }
  let left = false;
  const leave = () => {
    left = true;
  };
  const stream = eventStream(eventFrames(follow(), toWire), leave);
  await text(stream, 1);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(await text(stream, 1)).toBe(": keep-alive\n\n");
  await vi.advanceTimersByTimeAsync(75_000);
  expect([left, vi.getTimerCount()]).toEqual([true, 0]);
  await expect(text(stream, 1)).rejects.toThrow();
});

test("a log that cannot be read ends its stream, and nothing is left running that could end the server", async () => {
  vi.useFakeTimers();
  async function* follow(): AsyncGenerator<LogEntry[], void, void> {
    yield [entry];
    throw new Error("the database is away");
  }
  const stream = eventStream(eventFrames(follow(), toWire));
  await expect(text(stream, 3)).rejects.toThrow();
  expect(vi.getTimerCount()).toBe(0);
  await vi.advanceTimersByTimeAsync(60_000);
});

test("a reader that takes nothing for too long is let go, and with it its timer", async () => {
  vi.useFakeTimers();
  async function* follow(): AsyncGenerator<LogEntry[], void, void> {
    while (true) yield [entry];
  }
  const stream = eventStream(eventFrames(follow(), toWire));
  await text(stream, 2);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(vi.getTimerCount()).toBe(0);
  await expect(text(stream, 10)).rejects.toThrow();
});

test("a reader that leaves takes its timer with it", async () => {
  vi.useFakeTimers();
  async function* follow(): AsyncGenerator<LogEntry[], void, void> {
    await new Promise(() => undefined);
  }
  const stream = eventStream(eventFrames(follow(), toWire));
  await stream.cancel();
  expect(vi.getTimerCount()).toBe(0);
});

describe("a token that is no longer good", () => {
  const lifeOf = (end: AbortController) => ({ signal: end.signal, done: () => undefined });

  test("ends a stream that begins only then", { timeout: 2000 }, async () => {
    async function* follow(): AsyncGenerator<LogEntry[], void, void> {
      await new Promise(() => undefined);
    }
    const end = new AbortController();
    end.abort();
    const stream = eventStream(eventFrames(follow(), toWire), undefined, lifeOf(end));
    expect(await text(stream, 9)).toMatch(/^retry: \d+\n\n: the token is no longer good/);
  });

  test("does nothing to a stream that has ended by itself", async () => {
    async function* follow() {
      yield [entry];
    }
    const end = new AbortController();
    const stream = eventStream(eventFrames(follow(), toWire), undefined, lifeOf(end));
    expect(await text(stream, 9)).toContain("RunContent");
    const thrown = vi.fn();
    process.once("uncaughtException", thrown);
    end.abort();
    // Node throws what a listener threw on its next tick.
    await new Promise((resolve) => setImmediate(resolve));
    process.off("uncaughtException", thrown);
    expect(thrown).not.toHaveBeenCalled();
  });

  test("does nothing to a stream that ended while the token was verified", async () => {
    const refused = Promise.withResolvers<never>();
    const access = { caller: { ...openAccess.caller, kind: "token" as const }, token: "t" };
    const noStore = () => Promise.reject(new Error("not asked for"));
    const streams = new OpenStreams(noStore, () => refused.promise, pino({ level: "silent" }));
    const [ended, open] = [streams.begin(access), streams.begin(access)];
    const looked = streams.keysChanged();
    ended.done();
    refused.reject(new Error("its key is gone"));
    await looked;
    expect([ended.signal.aborted, open.signal.aborted]).toEqual([false, true]);
  });
});
