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
  /** The event's own place of each id: those of the runs beside it follow. */
  const idsOf = (frames: readonly Frame[], runId: string) =>
    frames.filter(({ data }) => data.run_id === runId).map(({ id }) => id.split(",")[0]!);
  /** Whole frames of what was read up to a cut. */
  const cutFrames = (text: string) => framesOf(text.slice(0, text.lastIndexOf("\n\n") + 2));
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
    const events = (frames: Frame[] = []) => frames.map(({ data }) => data);
    expect(events(seen[1])).toEqual(events(seen[0]));
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
    const begun = `?last_event_id=${encodeURIComponent(last)}`;
    expect((await follow("back", begun, { "last-event-id": end })).status).toBe(204);
  });

  test.each([
    ["is cut when both are under way", 30],
    ["is cut when the later one has ended", 4],
  ])(
    "a reader of two runs side by side that %s misses nothing, and gets nothing twice",
    async (how, tokens) => {
      const session = `both-${tokens}`;
      const first = await start(session, "a [[tokens=60]] [[delay=15]]");
      const cut = (await follow(session)).body!.getReader();
      let text = await readUntil(cut, "event: RunContent");
      const message = `b [[tokens=${tokens}]] [[delay=15]]`;
      const second = runs.create({ message, session_id: session, stream: false });
      text += await readUntil(cut, "event: RunStarted");
      if (how.includes("ended")) text += await readUntil(cut, "event: RunCompleted");
      // Whatever comes next is of one of them: it names both.
      text += await readUntil(cut, "event: RunContent");
      await cut.cancel();
      const { run_id: other } = await (await second).json();
      await runs.ended(first.runId);
      const before = cutFrames(text);
      const last = before.at(-1)!.id;
      expect(
        last
          .split(",")
          .map((part) => part.split(":")[0])
          .toSorted(),
      ).toEqual([first.runId, other].toSorted());
      const rest = framesOf(await (await follow(session, "", { "last-event-id": last })).text());
      for (const runId of [first.runId, other]) {
        const ids = [...idsOf(before, runId), ...idsOf(rest, runId)];
        expect(ids).toEqual(whole(runId, ids.length));
      }
      expect([...before, ...rest].filter(({ event }) => event === "RunCompleted")).toHaveLength(2);
      const ends = [first.runId, other].map(
        (runId) => [...before, ...rest].findLast(({ data }) => data.run_id === runId)!,
      );
      const named = ends.map(({ id }) => id.split(",")[0]).join(",");
      expect((await follow(session, "", { "last-event-id": named })).status).toBe(204);
      await first.left();
    },
  );

  test.runIf(engine.name === "sqlite")(
    "a reader that missed more runs than are looked for at once gets all of them, and the one under way",
    async () => {
      const session = "many";
      const known = await (await runs.create({ message: "x", session_id: session, stream: false })).json();
      const missed = Array.from({ length: 101 }, async () =>
        (await runs.create({ message: "y", session_id: session, stream: false })).json(),
      );
      const ids = (await Promise.all(missed)).map(({ run_id }) => run_id);
      const live = await start(session, "z [[tokens=40]] [[delay=20]]");
      const last = `${known.run_id}:${known.last_event_index ?? 999}`;
      const frames = framesOf(await (await follow(session, "", { "last-event-id": last })).text());
      const completed = frames.filter(({ event }) => event === "RunCompleted").map(({ data }) => data.run_id);
      expect(completed.toSorted()).toEqual([...ids, live.runId].toSorted());
      await live.left();
    },
  );

  test("an unknown session is 404, an id that is none 422", async () => {
    expect((await follow("nowhere")).status).toBe(404);
    await runs.create({ message: "x", session_id: "known", stream: false });
    expect((await follow("known", "", { "last-event-id": "7" })).status).toBe(422);
    expect((await follow("known", "?wait=perhaps")).status).toBe(422);
  });
});
