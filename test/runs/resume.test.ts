import { describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { startServer, type TestServer } from "../support/server.ts";

interface Frame {
  id: string | undefined;
  event: string;
  data: Record<string, unknown>;
}

function frames(text: string): Frame[] {
  return text.split("\n\n").flatMap((block) => {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
    const data = field("data");
    return data === undefined ? [] : [{ id: field("id"), event: field("event")!, data: JSON.parse(data) }];
  });
}

const isEvent = ({ id }: Frame) => id !== undefined;
const indexes = (all: Frame[]) => all.filter(isEvent).map(({ id }) => Number(id));
const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** The next part of a stream. Fails where it has ended: what is waited for will not come. */
async function next(reader: ReadableStreamDefaultReader<string>): Promise<string> {
  const { done, value } = await reader.read();
  if (done) throw new Error("the stream has ended");
  return value;
}

describe.each(engines)("on $name", (engine) => {
  async function withServer(work: (server: TestServer, restart: () => Promise<TestServer>) => Promise<void>) {
    const location = await engine.createLocation();
    let server = await startServer({ db: engine.connect(location) });
    const restart = async () => {
      await server.close();
      server = await startServer({ db: engine.connect(location) });
      return server;
    };
    try {
      await work(server, restart);
    } finally {
      await server.close();
    }
  }

  const resume = async (server: TestServer, runId: string, init: RequestInit = {}, query = "") =>
    fetch(`${server.url}/agents/copilot/runs/${runId}/resume${query}`, { method: "POST", ...init });

  test("a reader that comes back gets each event once and in order, from every index, after a restart too", () =>
    withServer(async (server, restart) => {
      const whole = frames(await (await server.run({ message: "a b c d e" })).text());
      const runId = String(whole[0]!.data.run_id);
      const last = whole.length - 1;
      for (const begin of [async () => server, restart]) {
        const target = await begin();
        for (let after = -1; after < last; after++) {
          const got = frames(await (await resume(target, runId, {}, `?last_event_index=${after}`)).text());
          expect(indexes(got)).toEqual(upTo(after + 1, last));
          expect(got[0]).toMatchObject({
            event: "replay",
            id: undefined,
            data: { total_events: last - after },
          });
          expect(got.filter(isEvent).map(({ data }) => data)).toEqual(
            whole.slice(after + 1).map(({ data }) => data),
          );
        }
      }
    }));

  test("while the run is live: what was missed, then what comes, whenever the reader comes back", () =>
    withServer(async (server) => {
      const response = await server.run({ message: "go [[tokens=30]] [[delay=5]]" });
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      while (!text.includes("id: 3\n")) text += await next(reader);
      const runId = String(frames(text)[0]!.data.run_id);
      await reader.cancel();
      // As many readers as the run has events, each coming back at another moment of it.
      const readers = await Promise.all(
        upTo(-1, 3).map(async (after) =>
          frames(await (await resume(server, runId, {}, `?last_event_index=${after}`)).text()),
        ),
      );
      for (const [i, got] of readers.entries()) {
        expect(indexes(got)).toEqual(upTo(i, Math.max(...indexes(got))));
        expect(got.at(-1)).toMatchObject({ event: "RunCompleted" });
        expect(got.some(({ event }) => event === "subscribed")).toBe(true);
      }
      expect(new Set(readers.map((got) => got.at(-1)!.id)).size).toBe(1);
    }));

  test("a run that was not streamed replays as well", () =>
    withServer(async (server) => {
      const run = await (await server.run({ message: "hello", stream: false })).json();
      const got = frames(await (await resume(server, run.run_id)).text());
      expect(got.at(-1)).toMatchObject({ event: "RunCompleted", data: { content: run.content } });
      expect(indexes(got)).toEqual(upTo(0, indexes(got).at(-1)!));
    }));

  test("a browser's EventSource comes back by GET with Last-Event-ID, and stops at 204", () =>
    withServer(async (server) => {
      const whole = frames(await (await server.run({ message: "a b c" })).text());
      const runId = String(whole[0]!.data.run_id);
      const get = (id: number) =>
        resume(server, runId, { method: "GET", headers: { "last-event-id": String(id) } });
      expect(indexes(frames(await (await get(1)).text()))).toEqual(upTo(2, whole.length - 1));
      expect((await get(whole.length - 1)).status).toBe(204);
      expect((await get(999)).status).toBe(204);
      // The URL that it began with says no more where it stands.
      const headers = { "last-event-id": String(whole.length - 1) };
      const again = await resume(server, runId, { method: "GET", headers }, "?last_event_index=1");
      expect(again.status).toBe(204);
      const unsaid = { method: "GET", headers: { "last-event-id": "" } };
      const rest = await (await resume(server, runId, unsaid, "?last_event_index=1")).text();
      expect(indexes(frames(rest))).toEqual(upTo(2, whole.length - 1));
    }));

  test("an index that is none is 422; one that a live run does not have yet is told, not waited for", () =>
    withServer(async (server) => {
      const done = await (await server.run({ message: "hi", stream: false })).json();
      for (const query of [
        "?last_event_index=x",
        "?last_event_index=-2",
        "?last_event_index=1.5",
        "?colour=red",
      ]) {
        expect((await resume(server, done.run_id, {}, query)).status).toBe(422);
      }
      const live = await server.run({ message: "go [[tokens=20]] [[delay=10]]" });
      const reader = live.body!.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      while (!text.includes("id: 2\n")) text += await next(reader);
      const runId = String(frames(text)[0]!.data.run_id);
      const got = frames(await (await resume(server, runId, {}, "?last_event_index=5000")).text());
      expect(got).toEqual([expect.objectContaining({ event: "error", id: undefined })]);
      await reader.cancel();
    }));

  test("an unknown run, another session's or another user's is 404", () =>
    withServer(async (server) => {
      const run = await (await server.run({ message: "hi", user_id: "ada", stream: false })).json();
      expect((await resume(server, "run_none")).status).toBe(404);
      expect((await resume(server, run.run_id, {}, "?session_id=other")).status).toBe(404);
      const json = { headers: { "content-type": "application/json" }, body: '{"user_id":"eve"}' };
      expect((await resume(server, run.run_id, json)).status).toBe(404);
    }));
});
