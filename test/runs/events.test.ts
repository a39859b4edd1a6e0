import { fold } from "agentos-ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { outline, readEvents, readFrames } from "../support/read-events.ts";
import { add, boom } from "../support/run-tools.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** Messages that make runs of every kind. */
const kinds = {
  plain: "hello there",
  empty: "[[say=]]",
  reasoning: "[[reason=let me think]] why?",
  "one tool": 'sum [[tool=add {"a":1,"b":2}]]',
  "two tools": '[[tool=add {"a":1,"b":2}]] [[tool=add {"a":3,"b":4}]]',
  "a tool that throws": "[[tool=boom]]",
  "arguments that do not fit": '[[tool=add {"a":"x"}]]',
  "arguments that are no JSON": "[[tool=add {broken]]",
  "an unknown tool": "[[tool=nothing {}]]",
  "a model that fails": "[[error=400]]",
  "line breaks": "[[say=a\nb\r\nc\rd\u2028e data: x\n\nid: 9\n\n]]",
  "odd characters": "[[say=nul \u0000, emoji 👩‍👩‍👧, rtl \u202e, bom \ufeff]]",
};

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { tools: [add, boom], addHistoryToContext: false, retries: 0 },
    });
  });
  afterAll(() => server.close());

  const stored = async (runId: string) => (await fetch(`${server.url}/agents/copilot/runs/${runId}`)).json();

  test.each(Object.entries(kinds))(
    "the fold of the events is the stored run, and not streaming answers the same: %s",
    async (_, message) => {
      const frames = await readFrames(await server.run({ message, session_id: "s" }));
      const events = frames.map(({ data }) => data);
      const run = await stored(events[0]!.run_id);
      const { last_event_index, reasoning_content, ...folded } = fold(events);
      expect(last_event_index).toBe(events.length - 1);
      expect(run).toMatchObject(folded);
      expect(run.reasoning_content ?? "").toBe(reasoning_content);

      const answer = await (await server.run({ message, session_id: "s", stream: false })).json();
      expect(await stored(answer.run_id)).toEqual({ ...answer, updated_at: expect.any(Number), events: [] });
      expect(comparable(answer)).toEqual(comparable(run));
    },
  );

  test.each(Object.entries(kinds))(
    "events are numbered without gaps, and each frame has its number: %s",
    async (_, message) => {
      const frames = await readFrames(await server.run({ message }));
      expect(frames.map(({ id }) => id)).toEqual(frames.map((_, i) => String(i)));
      for (const [i, { event, data }] of frames.entries()) {
        expect(data).toMatchObject({
          event_index: i,
          event,
          agent_id: "copilot",
          run_id: frames[0]!.data.run_id,
        });
        expect(data.created_at).toEqual(expect.any(Number));
      }
    },
  );

  test("the events of an answer come in their order", async () => {
    const events = await readEvents(await server.run({ message: kinds.reasoning }));
    expect(outline(events)).toEqual([
      "RunStarted",
      "ModelRequestStarted",
      "ReasoningStarted",
      "ReasoningContentDelta",
      "ReasoningCompleted",
      "RunContent",
      "ModelRequestCompleted",
      "RunContentCompleted",
      "RunCompleted",
    ]);
  });

  test("the events of a tool call come between two model turns", async () => {
    const events = await readEvents(await server.run({ message: kinds["a tool that throws"] }));
    expect(outline(events)).toEqual([
      "RunStarted",
      "ModelRequestStarted",
      "ModelRequestCompleted",
      "ToolCallStarted",
      "ToolCallCompleted",
      "ToolCallError",
      "ModelRequestStarted",
      "RunContent",
      "ModelRequestCompleted",
      "RunContentCompleted",
      "RunCompleted",
    ]);
  });

  test("a run that fails ends with RunError, which says why", async () => {
    const events = await readEvents(await server.run({ message: kinds["a model that fails"] }));
    expect(outline(events)).toEqual(["RunStarted", "ModelRequestStarted", "RunError"]);
    expect(events.at(-1)).toMatchObject({
      content: expect.stringContaining("400"),
      error_type: "model_error",
    });
  });

  test("text comes through a stream as it is, line breaks and all", async () => {
    for (const message of [kinds["line breaks"], kinds["odd characters"]]) {
      const events = await readEvents(await server.run({ message }));
      const text = events.map((event) => (event.event === "RunContent" ? event.content : "")).join("");
      expect(text).toBe(message.slice("[[say=".length, -"]]".length).trim());
    }
  });
});

/** What does not differ between two runs of the same message. */
function comparable(run: Record<string, unknown>): unknown {
  const {
    status,
    content,
    content_type,
    reasoning_content,
    error_type,
    model,
    model_provider,
    tools,
    messages,
    metrics,
  } = run as Record<string, { [key: string]: unknown }[]> & { metrics: object };
  const { duration: _, time_to_first_token: __, ...tokens } = metrics as Record<string, unknown>;
  return {
    ...{ status, content, content_type, reasoning_content, error_type, model, model_provider, tokens },
    tools: tools?.map(({ tool_name, tool_args, tool_call_error, result }) => ({
      tool_name,
      tool_args,
      tool_call_error,
      result,
    })),
    messages: messages?.map(({ role, content }) => ({ role, content })),
  };
}
