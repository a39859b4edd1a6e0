import { fold, type Requirement, type Run, tool } from "agentos-ts";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import { RunProgressStore } from "../../src/db/stores/run-progress.ts";
import { engines } from "../support/engines.ts";
import { framesOf, outline, readFrames, readUntil } from "../support/read-events.ts";
import { query } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** What the tools under test did. */
let done: string[] = [];

const wipe = tool({
  name: "wipe",
  description: "Wipes a path.",
  inputSchema: z.object({ path: z.string() }),
  requiresConfirmation: true,
  execute: ({ path }, { sessionState }) => {
    done.push(`wipe ${path}`);
    sessionState["wiped"] = path;
    return `wiped ${path}`;
  },
});
const note = tool({
  name: "note",
  description: "Notes something.",
  inputSchema: z.object({ text: z.string() }),
  execute: ({ text }, { sessionState, dependencies }) => {
    done.push(`note ${text}`);
    sessionState["noted"] = text;
    return `noted ${text} for ${dependencies["tenant"] ?? "nobody"}`;
  },
});
const book = tool({
  name: "book",
  description: "Books a table.",
  inputSchema: z.object({
    place: z.string(),
    seats: z.int().min(1).describe("How many come."),
    when: z.string(),
  }),
  requiresUserInput: ["seats", "when"],
  execute: ({ place, seats, when }) => `booked ${seats} at ${place}, ${when}`,
});
const scan = tool({
  name: "scan",
  description: "Scans a page. It is done on the user's machine.",
  inputSchema: z.object({ page: z.int() }),
  externalExecution: true,
});

describe.each(engines)("on $name", (engine) => {
  let location: string;
  let server: TestServer;

  beforeAll(async () => {
    location = await engine.createLocation();
    server = await startServer({
      db: engine.connect(location),
      agent: { tools: [wipe, note, book, scan] },
    });
  });
  afterAll(() => server.close());
  beforeEach(() => {
    done = [];
  });

  const send = (path: string, body?: object) =>
    fetch(`${server.url}/agents/copilot/runs${path}`, {
      method: body ? "POST" : "GET",
      ...(body && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    });
  const stored = async (runId: string): Promise<Run> => (await send(`/${runId}`)).json();
  const paused = async (message: string, more: object = {}): Promise<Run> => {
    const run = await (await server.run({ message, stream: false, ...more })).json();
    expect(run.status).toBe("paused");
    return run;
  };
  const waiting = (run: { requirements: Requirement[] }) =>
    run.requirements.map(({ tool_execution }) => tool_execution.tool_call_id);
  const proceed = async (runId: string, body: object): Promise<{ status: number; run: Run }> => {
    const answer = await send(`/${runId}/continue`, { stream: false, ...body });
    return { status: answer.status, run: await answer.json() };
  };
  const confirm = (id: string | undefined, confirmed = true, more: object = {}) => ({
    tools: [{ tool_call_id: id, confirmed, ...more }],
  });
  const cancel = (runId: string) =>
    fetch(`${server.url}/agents/copilot/runs/${runId}/cancel`, { method: "POST" });

  /** That the log is whole, and that what is stored is its fold. */
  async function expectFold(runId: string): Promise<Run> {
    const frames = await readFrames(await send(`/${runId}/resume`, {}));
    const events = frames.filter(({ id }) => id !== "").map(({ data }) => data);
    expect(events.map(({ event_index }) => event_index)).toEqual(events.map((_, i) => i));
    const run = await stored(runId);
    // An answer leaves out a reasoning that there is none of.
    const { last_event_index, reasoning_content: _, ...folded } = fold(events);
    expect(last_event_index).toBe(events.length - 1);
    expect(run).toMatchObject(folded);
    return run;
  }

  test("a run pauses before the call, says what it waits for, and goes on when it is allowed", async () => {
    const run = await paused('[[tool=wipe {"path":"a"}]]', { user_id: "ada" });
    expect(done).toEqual([]);
    expect(run.requirements).toMatchObject([
      {
        tool_execution: {
          tool_name: "wipe",
          tool_args: { path: "a" },
          requires_confirmation: true,
          result: null,
        },
      },
    ]);
    expect(await stored(run.run_id)).toMatchObject({ status: "paused", requirements: run.requirements });
    await expectFold(run.run_id);

    const { status, run: ended } = await proceed(run.run_id, confirm(waiting(run)[0]));
    expect(status).toBe(200);
    expect(ended).toMatchObject({ run_id: run.run_id, status: "completed", content: "Tool said: wiped a" });
    expect(ended.tools).toMatchObject([{ requires_confirmation: false, confirmed: true, result: "wiped a" }]);
    expect(ended.requirements).toMatchObject([{ tool_execution: { confirmed: true, result: "wiped a" } }]);
    expect(ended.session_state).toEqual({ wiped: "a" });
    expect(done).toEqual(["wipe a"]);
    expect(await expectFold(run.run_id)).toMatchObject({ status: "completed" });
  });

  test("streams end with RunPaused and begin again with RunContinued, and the numbers go on", async () => {
    const first = await readFrames(
      await server.run({ message: 'x [[tool=wipe {"path":"a"}]]', session_id: "t" }),
    );
    expect(outline(first)).toEqual([
      "RunStarted",
      "ModelRequestStarted",
      "ModelRequestCompleted",
      "RunContentCompleted",
      "RunPaused",
    ]);
    const { run_id, tools } = first.at(-1)!.data as never as Run;
    const second = await readFrames(await send(`/${run_id}/continue`, confirm(tools[0]?.tool_call_id)));
    expect(outline(second)).toEqual([
      "RunContinued",
      "ToolCallStarted",
      "ToolCallCompleted",
      "ModelRequestStarted",
      "RunContent",
      "ModelRequestCompleted",
      "RunContentCompleted",
      "RunCompleted",
    ]);
    expect(second.map(({ id }) => Number(id))).toEqual(second.map((_, i) => first.length + i));
    await expectFold(run_id);
  });

  test("a call that is not allowed is told to the model, with the note", async () => {
    const run = await paused('[[tool=wipe {"path":"b"}]]');
    const note = { confirmation_note: "not today" };
    const { run: ended } = await proceed(run.run_id, confirm(waiting(run)[0], false, note));
    expect(ended).toMatchObject({ status: "completed", content: "Tool said: not today" });
    expect(ended.tools).toMatchObject([{ confirmed: false, tool_call_error: true, ...note }]);
    expect(done).toEqual([]);
    await expectFold(run.run_id);

    const other = await paused('[[tool=wipe {"path":"b"}]]');
    const silent = await proceed(other.run_id, confirm(waiting(other)[0], false));
    expect(silent.run.content).toContain("did not allow");
  });

  test("of parallel calls those that wait for nobody are made first, and never again", async () => {
    const run = await paused('[[tool=note {"text":"n"}]] [[tool=wipe {"path":"c"}]]', {
      dependencies: { tenant: "acme" },
    });
    expect(done).toEqual(["note n"]);
    expect(run.tools).toMatchObject([
      { tool_name: "note", result: "noted n for acme" },
      { tool_name: "wipe" },
    ]);
    expect(waiting(run)).toHaveLength(1);
    // A client may send back all that it was shown.
    const tools = run.tools.map((one) => (one.requires_confirmation ? { ...one, confirmed: true } : one));
    const { run: ended } = await proceed(run.run_id, { tools });
    expect(ended.content).toBe("Tool said: noted n for acme | wiped c");
    expect(ended.session_state).toEqual({ noted: "n", wiped: "c" });
    expect(done).toEqual(["note n", "wipe c"]);
    await expectFold(run.run_id);
  });

  test("arguments that a person fills in take the place of the model's, once they fit", async () => {
    const run = await paused('[[tool=book {"place":"Rex","seats":2}]]');
    const [call] = run.requirements.map(({ tool_execution }) => tool_execution);
    expect(call?.user_input_schema).toEqual([
      { name: "seats", field_type: "int", description: "How many come.", value: 2 },
      { name: "when", field_type: "str", description: null, value: null },
    ]);
    const fill = (values: object) => ({
      tools: [
        {
          tool_call_id: call?.tool_call_id,
          user_input_schema: Object.entries(values).map(([name, value]) => ({ name, value })),
        },
      ],
    });
    for (const values of [{}, { when: 5 }, { seats: 0, when: "8" }, { when: "8", place: "Max" }]) {
      expect((await proceed(run.run_id, fill(values))).status, JSON.stringify(values)).toBe(422);
    }
    const { run: ended } = await proceed(run.run_id, fill({ seats: 4, when: "at 8" }));
    expect(ended.content).toBe("Tool said: booked 4 at Rex, at 8");
    expect(ended.tools).toMatchObject([
      { answered: true, tool_args: { place: "Rex", seats: 4, when: "at 8" }, requires_user_input: false },
    ]);
    await expectFold(run.run_id);
  });

  test("a call that is made elsewhere waits for its result", async () => {
    const run = await paused('[[tool=scan {"page":1}]]');
    const [id] = waiting(run);
    expect(run.tools).toMatchObject([{ external_execution_required: true }]);
    expect((await proceed(run.run_id, confirm(id))).status).toBe(422);
    const { run: ended } = await proceed(run.run_id, { tools: [{ tool_call_id: id, result: "page one" }] });
    expect(ended.content).toBe("Tool said: page one");
    expect(ended.tools).toMatchObject([{ external_execution_required: false, tool_call_error: false }]);
    await expectFold(run.run_id);
  });

  test("arguments that the tool does not take are told to the model, and nobody is asked", async () => {
    const run = await (await server.run({ message: "[[tool=wipe {}]]", stream: false })).json();
    expect(run).toMatchObject({ status: "completed", requirements: [] });
    expect(run.content).toContain("do not fit");
  });

  test("decisions that do not fit are refused and named, and the run stays paused", async () => {
    const run = await paused('[[tool=wipe {"path":"d"}]]');
    const [id] = waiting(run);
    const refused: [object, (string | number)[]][] = [
      [{}, ["body", "tools"]],
      [{ tools: [] }, ["body", "tools"]],
      [{ tools: [{ tool_call_id: "other", confirmed: true }] }, ["body", "tools", 0, "tool_call_id"]],
      [{ tools: [{ tool_call_id: id }] }, ["body", "tools", 0, "confirmed"]],
      [{ tools: [{ tool_call_id: id, confirmed: "perhaps" }] }, ["body", "tools", 0, "confirmed"]],
      [{ tools: [{ tool_call_id: id, confirmed: true, tool_args: { path: "/" } }] }, ["body", "tools", 0]],
      [{ tools: [{ tool_call_id: id, confirmed: true, tool_name: "note" }] }, ["body", "tools", 0]],
      [{ tools: [1, 2].map(() => ({ tool_call_id: id, confirmed: true })) }, ["body", "tools", 1]],
      [{ tools: [{ confirmed: true }] }, ["body", "tools", 0, "tool_call_id"]],
      [{ tools: "yes" }, ["body", "tools"]],
      [{ input: "and now", ...confirm(id) }, ["body", "input"]],
      [{ regenerate: true, ...confirm(id) }, ["body", "regenerate"]],
      [{ ...confirm(id), colour: "red" }, ["body", "colour"]],
    ];
    for (const [body, loc] of refused) {
      const answer = await proceed(run.run_id, body);
      expect(answer, JSON.stringify(body)).toMatchObject({ status: 422, run: { detail: [{ loc }] } });
    }
    for (const body of [{ session_id: "other" }, { user_id: "eve" }]) {
      expect((await proceed(run.run_id, { ...confirm(id), ...body })).status).toBe(404);
    }
    expect((await proceed("run_none", confirm(id))).status).toBe(404);
    expect(await stored(run.run_id)).toMatchObject({ status: "paused" });
    expect((await proceed(run.run_id, confirm(id))).run.status).toBe("completed");
  });

  test("of two continues of a pause one wins, however close they come", async () => {
    for (let round = 0; round < 5; round++) {
      const run = await paused('[[tool=wipe {"path":"e"}]]', { session_id: `two-${round}` });
      done = [];
      const answers = await Promise.all([1, 2, 3].map(() => proceed(run.run_id, confirm(waiting(run)[0]))));
      expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409]);
      expect(done).toEqual(["wipe e"]);
      expect((await proceed(run.run_id, confirm(waiting(run)[0]))).status).toBe(409);
      await expectFold(run.run_id);
    }
  });

  test("decisions about a pause are none about the next one, which the run came to meanwhile", async () => {
    const run = await paused('[[tool=wipe {"path":"stale"}]]');
    const { get } = RunProgressStore.prototype;
    vi.spyOn(RunProgressStore.prototype, "get").mockImplementationOnce(async function (
      this: RunProgressStore,
      runId,
    ) {
      // Another process continued it, and it waits again.
      const next = "checkpoint_index = checkpoint_index + 4, pause_id = 'pause_next'";
      await query(engine, location, `UPDATE runs SET ${next} WHERE run_id = '${runId}'`);
      return get.call(this, runId);
    });
    expect((await proceed(run.run_id, confirm(waiting(run)[0]))).status).toBe(409);
    expect(await stored(run.run_id)).toMatchObject({ status: "paused" });
    expect(done).toEqual([]);
  });

  test("against a cancel a continue has one end, never two", async () => {
    for (let round = 0; round < 8; round++) {
      const run = await paused('[[tool=wipe {"path":"f"}]]', { session_id: `race-${round}` });
      const [{ status }, cancelled] = await Promise.all([
        proceed(run.run_id, confirm(waiting(run)[0])),
        cancel(run.run_id),
      ]);
      expect(cancelled.status).toBe(200);
      const ended = await expectFold(run.run_id);
      expect(["completed", "cancelled"]).toContain(ended.status);
      if (status === 409) expect(ended).toMatchObject({ status: "cancelled", requirements: [] });
    }
  });

  test("a cancel that comes as a run pauses ends it, and keeps what its tools changed", async () => {
    for (let round = 0; round < 8; round++) {
      const session_id = `pausing-${round}`;
      const message = `[[tool=note {"text":"${round}"}]] [[tool=wipe {"path":"x"}]]`;
      const response = await server.run({ message, session_id });
      const reader = response.body!.getReader();
      const text = await readUntil(reader, "event: ToolCallCompleted\n");
      const runId = /"run_id":"([^"]+)"/.exec(text)![1]!;
      await cancel(runId);
      await reader.cancel();
      expect(await expectFold(runId)).toMatchObject({ status: "cancelled", requirements: [] });
      const session = await (await fetch(`${server.url}/sessions/${session_id}`)).json();
      expect(session.session_state).toEqual({ noted: String(round) });
    }
  });

  test("a run that was cancelled while it was paused does not go on", async () => {
    const run = await paused('[[tool=wipe {"path":"g"}]]');
    await cancel(run.run_id);
    expect(await expectFold(run.run_id)).toMatchObject({ status: "cancelled", requirements: [] });
    expect((await proceed(run.run_id, confirm(waiting(run)[0]))).status).toBe(409);
    expect(done).toEqual([]);
  });

  test("a paused run is neither in the history nor in the way of the next", async () => {
    const session_id = "history";
    await server.run({ message: "before", stream: false, session_id });
    const run = await paused('wait [[tool=wipe {"path":"h"}]]', { session_id });
    const next = await (await server.run({ message: "meanwhile", stream: false, session_id })).json();
    expect(next.status).toBe("completed");
    expect(JSON.stringify(server.model.requests.at(-1)?.body)).not.toContain("wait");
    await proceed(run.run_id, confirm(waiting(run)[0]));
    const asked = JSON.stringify(server.model.requests.at(-1)?.body);
    expect(asked).toContain("before");
    expect(asked).not.toContain("meanwhile");
  });

  test("in background it waits and goes on too, and its log is one", async () => {
    const accepted = await server.run({
      message: '[[tool=wipe {"path":"i"}]]',
      background: true,
      session_id: "b",
    });
    expect(accepted.status).toBe(202);
    const { run_id } = await accepted.json();
    expect(await expectFold(run_id)).toMatchObject({ status: "paused" });
    const run = await stored(run_id);
    const answer = await send(`/${run_id}/continue`, { ...confirm(waiting(run)[0]), background: true });
    expect(answer.status).toBe(202);
    expect(await answer.json()).toEqual({ run_id, session_id: "b", status: "pending" });
    expect(await expectFold(run_id)).toMatchObject({ status: "completed", content: "Tool said: wiped i" });
    expect(done).toEqual(["wipe i"]);
  });

  test("a background run that waits lets the next of its session begin", async () => {
    const first = await server.run({
      message: '[[tool=wipe {"path":"j"}]]',
      background: true,
      session_id: "q",
    });
    const { run_id } = await first.json();
    const second = await (await server.run({ message: "next", background: true, session_id: "q" })).json();
    expect(await expectFold(second.run_id)).toMatchObject({ status: "completed" });
    expect(await stored(run_id)).toMatchObject({ status: "paused" });
  });

  test("a reader that leaves a continued stream finds the rest", async () => {
    const run = await paused('[[tool=wipe {"path":"k"}]] [[tokens=40]] [[delay=10]]', {
      session_id: "leave",
    });
    const response = await send(`/${run.run_id}/continue`, confirm(waiting(run)[0]));
    const reader = response.body!.getReader();
    const got = framesOf(await readUntil(reader, "event: RunContent\n"));
    await reader.cancel();
    expect(got[0]).toMatchObject({ event: "RunContinued" });
    expect(await expectFold(run.run_id)).toMatchObject({ status: "completed" });
  });
});
