import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { type Frame, framesOf, readUntil } from "../support/read-events.ts";
import { runsOf } from "../support/runs.ts";
import { startServer, type TestServer } from "../support/server.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let runs: ReturnType<typeof runsOf>;

  beforeAll(async () => {
    server = await startServer({ db: engine.connect(await engine.createLocation()) });
    runs = runsOf(server);
  });
  afterAll(() => server.close());

  const follow = (session: string, query = "", headers: Record<string, string> = {}) =>
    fetch(`${server.url}/sessions/${session}/stream${query}`, { headers });
  const start = async (session: string, message: string) => {
    const answer = await runs.create({ message, session_id: session, background: true, stream: true });
    const reader = answer.body!.getReader();
    const text = await readUntil(reader, "event: RunContent");
    return { runId: /"run_id":"([^"]+)"/.exec(text)![1]!, left: () => reader.cancel() };
  };
  const idsOf = (frames: readonly Frame[], runId: string) =>
    frames.filter(({ data }) => data.run_id === runId).map(({ id }) => id);
  const whole = (runId: string, count: number) => Array.from({ length: count }, (_, i) => `${runId}:${i}`);

  test("three tabs see the run under way from its start, then the next ones, each event once", async () => {
    const first = await start("tabs", "a [[tokens=40]] [[delay=10]]");
    const tabs = [follow("tabs"), follow("tabs"), follow("tabs")].map(async (tab) => (await tab).text());
    const second = await (await runs.create({ message: "b", session_id: "tabs", background: true })).json();
    const seen = (await Promise.all(tabs)).map(framesOf);
    for (const frames of seen) {
      const ofFirst = idsOf(frames, first.runId);
      expect(ofFirst).toEqual(whole(first.runId, ofFirst.length));
      const ofSecond = idsOf(frames, second.run_id);
      expect(ofSecond).toEqual(whole(second.run_id, ofSecond.length));
      expect(frames.filter(({ event }) => event === "RunCompleted")).toHaveLength(2);
    }
    expect(seen[1]).toEqual(seen[0]);
    await first.left();
  });

  test("runs side by side come interleaved, told apart by their id", async () => {
    const one = await start("side", "one [[tokens=40]] [[delay=10]]");
    const other = runs.create({
      message: "two [[tokens=40]] [[delay=10]]",
      session_id: "side",
      stream: false,
    });
    const frames = framesOf(await (await follow("side")).text());
    const { run_id } = await (await other).json();
    for (const runId of [one.runId, run_id]) {
      const ids = idsOf(frames, runId);
      expect(ids).toEqual(whole(runId, ids.length));
    }
    const turns = frames.map(({ data }) => data.run_id).filter((id, i, all) => id !== all[i - 1]);
    expect(turns.length).toBeGreaterThan(2);
  });

  test("nothing runs: 204, or it stays open and the next run comes", async () => {
    await runs.create({ message: "over", session_id: "quiet", stream: false });
    expect((await follow("quiet")).status).toBe(204);
    const open = await follow("quiet", "?wait=true");
    expect(open.status).toBe(200);
    const reader = open.body!.getReader();
    const next = runs.create({ message: "next", session_id: "quiet", stream: false });
    const text = await readUntil(reader, "event: RunCompleted");
    const { run_id } = await (await next).json();
    expect(framesOf(text)[0]?.id).toBe(`${run_id}:0`);
    expect(text).not.toContain("over");
    await reader.cancel();
  });

  test("a reader that comes back goes on after its last event, and gets what it missed", async () => {
    const first = await start("back", "a [[tokens=30]] [[delay=5]]");
    const cut = (await follow("back")).body!.getReader();
    const text = await readUntil(cut, "event: RunContent");
    await cut.cancel();
    await runs.ended(first.runId);
    const second = await (await runs.create({ message: "b", session_id: "back", stream: false })).json();
    const last = framesOf(`${text.slice(0, text.lastIndexOf("\n\n"))}\n\n`).at(-1)!.id;
    const rest = framesOf(await (await follow("back", "", { "last-event-id": last })).text());
    expect(idsOf(rest, first.runId)[0]).toBe(`${first.runId}:${Number(last.split(":")[1]) + 1}`);
    expect(idsOf(rest, second.run_id)[0]).toBe(`${second.run_id}:0`);
    const end = rest.at(-1)!.id;
    expect((await follow("back", "", { "last-event-id": end })).status).toBe(204);
  });

  test("an unknown session is 404, an id that is none 422", async () => {
    expect((await follow("nowhere")).status).toBe(404);
    await runs.create({ message: "x", session_id: "known", stream: false });
    expect((await follow("known", "", { "last-event-id": "7" })).status).toBe(422);
    expect((await follow("known", "?wait=perhaps")).status).toBe(422);
  });
});
