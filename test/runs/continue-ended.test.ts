import { fold, type Message, type Run, tool } from "agentos-ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { engines } from "../support/engines.ts";
import { readEvents } from "../support/read-events.ts";
import { add } from "../support/run-tools.ts";
import { startServer, type TestServer } from "../support/server.ts";

const stuck = tool({
  name: "stuck",
  description: "Never returns.",
  inputSchema: z.object({}),
  execute: () => new Promise(() => undefined),
});

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { tools: [add, stuck], retries: 0 },
    });
  });
  afterAll(() => server.close());

  const send = (path: string, body?: object) =>
    fetch(`${server.url}/agents/copilot/runs${path}`, {
      method: body ? "POST" : "GET",
      ...(body && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    });
  const stored = async (runId: string): Promise<Run> => (await send(`/${runId}`)).json();
  const run = async (message: string, session_id: string, more: object = {}): Promise<Run> =>
    (await server.run({ message, session_id, stream: false, ...more })).json();
  const proceed = async (runId: string, body: object): Promise<{ status: number; run: Run }> => {
    const answer = await send(`/${runId}/continue`, { stream: false, ...body });
    return { status: answer.status, run: await answer.json() };
  };
  /** What the model was asked last, without the system prompt. */
  const asked = () =>
    (server.model.requests.at(-1)!.body.input as { type?: string; role?: string; content?: unknown }[]).map(
      (item) => item.role ?? item.type,
    );
  const said = () => JSON.stringify(server.model.requests.at(-1)!.body.input);

  test("a failed run is tried again as a run of its own, with what it was asked", async () => {
    const failed = await run("x [[errors=1:400]]", "failed");
    expect(failed.status).toBe("error");
    const { run: again } = await proceed(failed.run_id, {});
    expect(again).toMatchObject({
      status: "completed",
      forked_from_run_id: failed.run_id,
      input: failed.input,
      content: expect.stringContaining("You said: x"),
    });
    expect(again.run_id).not.toBe(failed.run_id);
    expect(again.messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
    expect(await stored(failed.run_id)).toMatchObject({ status: "error" });
    const next = await run("next", "failed");
    expect(asked()).toEqual(["user", "assistant", "user"]);
    expect(next.status).toBe("completed");
  });

  test("it goes on from any of its messages; one between a call and its output counts as before the call", async () => {
    const done = await run('[[tool=add {"a":1,"b":2}]]', "tools");
    const { run: forked } = await proceed(done.run_id, { continue_from: 2, input: "and?", fork: true });
    expect(forked.forked_from_message_index).toBe(1);
    expect(forked.messages.map(({ role }) => role)).toEqual(["user", "user", "assistant"]);
    const { run: again } = await proceed(done.run_id, { continue_from: "last_user" });
    expect(again).toMatchObject({
      forked_from_message_index: 1,
      content: "Tool said: 3",
      tools: { length: 1 },
    });
    const { run: whole } = await proceed(done.run_id, { continue_from: 4, input: "and?" });
    expect(whole).toMatchObject({ forked_from_message_index: 4, tools: [] });
    expect(whole.messages.map(({ role }) => role)).toEqual([
      "user",
      "assistant",
      "tool",
      "assistant",
      "user",
      "assistant",
    ]);
  });

  test("an input to a run that is done makes a run that begins with all of it, told once in the history", async () => {
    const first = await run("one", "follow");
    await run("aside", "follow");
    const { run: second } = await proceed(first.run_id, { input: "two" });
    expect(second).toMatchObject({
      status: "completed",
      forked_from_run_id: first.run_id,
      forked_from_message_index: 2,
      input: { input_content: "two" },
      content: expect.stringContaining("You said: two"),
    });
    // It goes on from there: what came in between is not told.
    expect(asked()).toEqual(["user", "assistant", "user"]);
    expect(said()).not.toContain("aside");
    expect(await stored(first.run_id)).toMatchObject({ status: "completed", content: first.content });
    await run("three", "follow");
    expect(said().match(/"text":"one"|content":"one"/g)).toHaveLength(1);
    expect(asked()).toEqual(["user", "assistant", "user", "assistant", "user", "assistant", "user"]);
  });

  test("regenerate answers again, and takes the place of the first once it has", async () => {
    const before = await run("before", "again");
    const first = await run("question", "again");
    const { run: second } = await proceed(first.run_id, { regenerate: true });
    expect(second).toMatchObject({
      status: "completed",
      regenerated_from: first.run_id,
      forked_from_run_id: first.run_id,
      forked_from_message_index: 1,
      input: first.input,
      content: expect.stringContaining("You said: question"),
    });
    expect(asked()).toEqual(["user", "assistant", "user"]);
    expect(await stored(first.run_id)).toMatchObject({
      status: "regenerated",
      superseded_by: second.run_id,
      content: first.content,
    });
    const events = await readEvents(await send(`/${second.run_id}/resume`, {}));
    expect(fold(events.filter(({ event_index }) => event_index !== undefined)).content).toBe(second.content);
    await run("after", "again");
    expect(said().match(/question/g)).toHaveLength(2);
    expect(said()).toContain(before.input.input_content);
    // The first has its place no more; the second can be answered again.
    expect((await proceed(first.run_id, { regenerate: true })).status).toBe(409);
    const third = await proceed(second.run_id, { regenerate: true, additional_instructions: "shorter" });
    expect(third.run).toMatchObject({
      regenerated_from: second.run_id,
      content: expect.stringContaining("shorter"),
    });
  });

  test("in a fork of the session each run names the copies of the others", async () => {
    const first = await run("question", "lineage");
    await proceed(first.run_id, { regenerate: true });
    const path = `${server.url}/agents/copilot/sessions/lineage/fork`;
    const fork = await (await fetch(path, { method: "POST" })).json();
    const runs = (await (await fetch(`${server.url}/sessions/${fork.session_id}/runs`)).json()) as Run[];
    expect(runs).toHaveLength(2);
    expect(runs[0]).toMatchObject({ status: "regenerated", superseded_by: runs[1]?.run_id });
    expect(runs[1]).toMatchObject({
      regenerated_from: runs[0]?.run_id,
      forked_from_run_id: runs[0]?.run_id,
    });
  });

  test("a regenerated answer that fails leaves the first where it is, and so does replace_original=false", async () => {
    const first = await run("a [[errors=0:400]]", "kept");
    const failing = { regenerate: true, additional_instructions: "x [[error=400]]" };
    expect((await proceed(first.run_id, failing)).run.status).toBe("error");
    expect((await stored(first.run_id)).status).toBe("completed");
    const second = await proceed(first.run_id, { regenerate: true, replace_original: false });
    expect(second.run).toMatchObject({ status: "completed", regenerated_from: first.run_id });
    const kept = await stored(first.run_id);
    expect(kept.status).toBe("completed");
    expect(kept.superseded_by).toBeUndefined();
  });

  test("in background and streamed it is a run like any other", async () => {
    const first = await run("one", "background");
    const events = await readEvents(await send(`/${first.run_id}/continue`, { input: "two" }));
    expect(events.map(({ event_index }) => event_index)).toEqual(events.map((_, i) => i));
    expect(events[0]).toMatchObject({ event: "RunStarted" });
    const accepted = await send(`/${first.run_id}/continue`, { regenerate: true, background: true });
    expect(accepted.status).toBe(202);
    const { run_id } = await accepted.json();
    await (await send(`/${run_id}/resume`, {})).text();
    expect(await stored(run_id)).toMatchObject({ status: "completed", regenerated_from: first.run_id });
    expect(await stored(first.run_id)).toMatchObject({ status: "regenerated", superseded_by: run_id });
  });

  test("what makes no sense is refused, and makes no run", async () => {
    const done = await run("one", "refused");
    const refused: [object, (string | number)[]][] = [
      [{}, ["body", "input"]],
      [{ fork: true }, ["body", "input"]],
      [{ input: " " }, ["body", "input"]],
      [{ input: "two", continue_from: "yesterday" }, ["body", "continue_from"]],
      [{ input: "two", continue_from: -1 }, ["body", "continue_from"]],
      [{ input: "two", continue_from: 3 }, ["body", "continue_from"]],
      [{ input: "two", replace_original: true }, ["body", "replace_original"]],
      [{ input: "two", additional_instructions: "x" }, ["body", "additional_instructions"]],
      [{ input: "two", regenerate: true }, ["body", "input"]],
      [{ fork: true, regenerate: true }, ["body", "fork"]],
      [{ input: "two", colour: "red" }, ["body", "colour"]],
    ];
    for (const [body, loc] of refused) {
      const answer = await proceed(done.run_id, body);
      expect(answer, JSON.stringify(body)).toMatchObject({ status: 422, run: { detail: [{ loc }] } });
    }
    const list = await (await fetch(`${server.url}/sessions/refused/runs`)).json();
    expect(list).toHaveLength(1);
  });

  test("a cancelled run is not continued, nor one that is under way", async () => {
    const response = await server.run({ message: "[[tool=stuck {}]]", session_id: "stuck" });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const runId = /"run_id":"([^"]+)"/.exec((await reader.read()).value! + (await reader.read()).value!)![1]!;
    expect((await proceed(runId, { input: "hm" })).status).toBe(409);
    await fetch(`${server.url}/agents/copilot/runs/${runId}/cancel`, { method: "POST" });
    expect((await proceed(runId, { input: "hm" })).status).toBe(409);
    await reader.cancel();
  });

  test("checkpoints stand behind each turn and its tools, and tell the run as it was", async () => {
    const done = await run('x [[tool=add {"a":1,"b":2}]]', "checkpoints");
    const list = await (await send(`/${done.run_id}/checkpoints?session_id=checkpoints`)).json();
    expect(list).toMatchObject({
      run_id: done.run_id,
      checkpoints: [
        {
          checkpoint_id: "1",
          message_index: 3,
          reason: "checkpoint",
          message_role: "tool",
          is_latest: false,
        },
        {
          checkpoint_id: "2",
          message_index: 4,
          reason: "end",
          message_preview: "Tool said: 3",
          is_latest: true,
        },
      ],
    });
    const at = async (index: number | string) => (await send(`/${done.run_id}/checkpoints/${index}`)).json();
    const roles = (snapshot: { messages: Message[] }) => snapshot.messages.map(({ role }) => role);
    const end = await at(4);
    expect(end).toMatchObject({ checkpoint: list.checkpoints[1], snapshot: { content: done.content } });
    const between = await at(2);
    expect(between.checkpoint).toMatchObject({ checkpoint_id: null, reason: "snapshot", message_index: 1 });
    expect(roles(between.snapshot)).toEqual(["user"]);
    expect(between.snapshot.tools).toEqual([]);
    expect(roles((await at(3)).snapshot)).toEqual(["user", "assistant", "tool"]);
    expect((await at(3)).snapshot.tools).toMatchObject([{ tool_name: "add", result: "3" }]);
    expect((await at(0)).snapshot.messages).toEqual([]);
    expect(await at(5)).toMatchObject({ detail: "message_index must be between 0 and 4" });
    expect(await stored(done.run_id)).toMatchObject({ messages: { length: 4 } });
  });
});
