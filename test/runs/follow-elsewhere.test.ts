import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RunStore } from "../../src/db/stores/runs.ts";
import { engines } from "../support/engines.ts";
import { indexesOf, restOf, resume, resumedFrames, upTo } from "../support/nodes.ts";
import { readUntil } from "../support/read-events.ts";
import { query } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";

/**
 * Runs that are not under way in the server that is asked. What another one would do to them is done past it, in the
 * database: so each moment can be looked at.
 */
describe.each(engines)("on $name", (engine) => {
  let location: string;
  let server: TestServer;
  let runId: string;
  /** The events of the run, as they are stored. */
  let events: object[];

  beforeEach(async () => {
    location = await engine.createLocation();
    server = await startServer({ db: engine.connect(location) });
    const run = await (await server.run({ message: "a b c d", stream: false })).json();
    runId = run.run_id;
    const rows = await query<{ events: string }>(
      engine,
      location,
      "SELECT events FROM run_events ORDER BY first_index",
    );
    events = rows.flatMap((row) => JSON.parse(row.events));
  });
  afterEach(() => server.close());

  const sql = (text: string) => query(engine, location, text);

  /** Makes the run one that waits for another server, which is alive. */
  async function putBack(): Promise<void> {
    await sql(`INSERT INTO nodes (node_id, lease_until) VALUES ('other', ${Date.now() + 3_600_000})`);
    await sql(
      "UPDATE runs SET status = 'pending', node_id = 'other', checkpoint_index = -1, ended_at = NULL, started_at = NULL",
    );
    await sql("DELETE FROM run_events");
  }

  /** What the other server stores. */
  const store = (firstIndex: number, added: object[], attempt = 1) =>
    sql(
      `INSERT INTO run_events (run_id, first_index, last_index, attempt, events) VALUES ('${runId}', ${firstIndex}, ${
        firstIndex + added.length - 1
      }, ${attempt}, '${JSON.stringify(added).replaceAll("'", "''")}')`,
    );

  /** A reader that has begun, and what it read of the head of its stream. */
  async function follow(options: { method?: string; after?: number } = {}) {
    const response = await resume(server, runId, options);
    expect(response.status).toBe(200);
    const reader = response.body!.getReader();
    const head = await readUntil(reader, "event: subscribed");
    return { reader, head };
  }

  test("a run that waits is followed from before its start, over a takeover, to its end", async () => {
    await putBack();
    const readers = await Promise.all([follow(), follow({ method: "GET" })]);
    expect(resumedFrames(`${readers[0].head}\n\n`)[0]).toMatchObject({
      event: "subscribed",
      id: undefined,
      data: { status: "pending", current_event_count: 0 },
    });
    const last = events.length;
    const recovered = { created_at: 1, event: "RunRecovered", attempt: 2, discard_from_index: 1 };
    await sql("UPDATE runs SET status = 'running', attempt = 1");
    await store(0, events.slice(0, 2));
    const begun = await Promise.all(readers.map(({ reader }) => readUntil(reader, "id: 1\n")));
    const late = await follow({ after: 0 });
    await sql("UPDATE runs SET attempt = 2");
    await store(2, [recovered], 2);
    await store(3, events.slice(2, -1), 2);
    await store(last, events.slice(-1), 2);
    await sql(`UPDATE runs SET status = 'completed', checkpoint_index = ${last}`);
    const ends = await Promise.all([...readers, late].map(({ reader }) => readUntil(reader, "RunCompleted")));
    const whole = resumedFrames(await (await resume(server, runId)).text()).slice(1);
    expect(indexesOf(whole)).toEqual(upTo(0, last));
    expect(whole[2]).toMatchObject({ event: "RunRecovered" });
    for (const [i, { head }] of [...readers, late].entries()) {
      const text = `${head}${begun[i] ?? ""}${ends[i]}`;
      expect(indexesOf(resumedFrames(text))).toEqual(upTo(i === 2 ? 1 : 0, last));
    }
    for (const { reader } of [...readers, late]) expect(resumedFrames(await restOf(reader))).toEqual([]);
  });

  test("readers that stand at different places of a log are each given what follows there", async () => {
    await putBack();
    // A row an event, and more of them than a page holds.
    for (let i = 0; i < 32; i++) await store(i, [{ ...events.at(-2)!, content: `${i}` }]);
    const { runs } = server.os.db.storeFor({ scopes: [], unrestricted: true });
    const wanted = [24, -1, 8, 40, 16].map((after) => ({ runId, after }));
    const pages = await runs.pages([...wanted, { runId: "run_none", after: -1 }]);
    const firsts = pages.map((page) => page.map(({ firstIndex }) => firstIndex));
    expect(firsts).toEqual([upTo(25, 31), upTo(0, 7), upTo(9, 16), [], upTo(17, 24), []]);
    expect(pages.slice(0, -1)).toEqual(
      await Promise.all(wanted.map(({ after }) => runs.events(runId, after))),
    );
  });

  test("who sends its key again and waits is told to come back when the server stops", async () => {
    const ask = () =>
      fetch(`${server.url}/agents/copilot/runs`, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": "again" },
        body: JSON.stringify({ message: "a", stream: false }),
      });
    await ask();
    await putBack();
    const look = vi.spyOn(RunStore.prototype, "standings");
    const again = ask();
    await vi.waitUntil(() => look.mock.calls.length > 0);
    look.mockRestore();
    const closed = server.os.close();
    const answer = await again;
    expect(answer.status).toBe(503);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await answer.json()).toMatchObject({ detail: expect.stringContaining("stopping") });
    await closed;
  });

  test("a run that pauses elsewhere is followed up to its pause", async () => {
    await putBack();
    const { reader } = await follow();
    await sql("UPDATE runs SET status = 'running'");
    await store(0, [...events.slice(0, 2), { created_at: 1, event: "RunPaused" }]);
    await sql("UPDATE runs SET status = 'paused', checkpoint_index = 2");
    const text = await restOf(reader);
    expect(indexesOf(resumedFrames(text))).toEqual([0, 1, 2]);
    expect((await resume(server, runId, { method: "GET", after: 2 })).status).toBe(204);
  });

  test("who follows a run that is deleted is told so", async () => {
    await putBack();
    const { reader } = await follow();
    await sql("DELETE FROM runs");
    const frames = resumedFrames(await restOf(reader));
    expect(frames).toEqual([
      {
        id: undefined,
        event: "error",
        data: { event: "error", run_id: runId, error: expect.any(String), error_type: "log_gone" },
      },
    ]);
    expect(frames[0]!.data.error).toMatch(/deleted/);
  });

  test("an index that the run does not have is told, not waited for", async () => {
    await putBack();
    await store(0, events.slice(0, 2));
    const frames = resumedFrames(await (await resume(server, runId, { after: 2 })).text());
    expect(frames).toEqual([expect.objectContaining({ event: "error", id: undefined })]);
    expect(frames[0]!.data.error).toMatch(/has 2 events so far/);
  });

  test("an index that the run has a moment later is waited for", async () => {
    await server.close();
    // Twice as long is waited.
    server = await startServer({ db: engine.connect(location), os: { log: { interval: 10_000 } } });
    await putBack();
    await sql("UPDATE runs SET status = 'running'");
    await store(0, events.slice(0, 2));
    const asked = resume(server, runId, { after: 3 });
    await store(2, events.slice(2, -1));
    const reader = (await asked).body!.getReader();
    const head = await readUntil(reader, "event: subscribed");
    await store(events.length - 1, events.slice(-1));
    await sql(`UPDATE runs SET status = 'completed', checkpoint_index = ${events.length - 1}`);
    expect(indexesOf(resumedFrames(await restOf(reader, head)))).toEqual(upTo(4, events.length - 1));
  });

  test("a reader of a log that is no longer kept is told so, and never given a gap", async () => {
    const last = events.length - 1;
    await sql("DELETE FROM run_events");
    for (const method of ["POST", "GET"]) {
      for (const after of [-1, 0, last - 1]) {
        const frames = resumedFrames(await (await resume(server, runId, { method, after })).text());
        expect(frames).toEqual([expect.objectContaining({ event: "error", id: undefined })]);
        expect(frames[0]!.data.error).toMatch(/no longer kept/);
      }
    }
    expect((await resume(server, runId, { method: "GET", after: last })).status).toBe(204);
    const rest = resumedFrames(await (await resume(server, runId, { after: last })).text());
    expect(rest).toEqual([expect.objectContaining({ event: "replay" })]);
    // Where only its beginning is gone, the end can still be read.
    await store(3, events.slice(3));
    const readable = resumedFrames(await (await resume(server, runId, { after: 2 })).text());
    expect(indexesOf(readable)).toEqual(upTo(3, last));
    const gap = resumedFrames(await (await resume(server, runId, { after: 1 })).text());
    expect(gap).toEqual([expect.objectContaining({ event: "error" })]);
  });

  test("a server that stops lets go of who follows", async () => {
    await putBack();
    const { reader } = await follow();
    await server.close();
    expect(resumedFrames(await restOf(reader))).toEqual([]);
    server = await startServer({ db: engine.connect(location) });
  });
});
