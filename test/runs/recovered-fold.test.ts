import { type FoldedRun, fold, type RunEventBody, type ToolExecution } from "agentos-ts";
import fc from "fast-check";
import { expect, test } from "vitest";
import { applyEvent, emptyFold } from "../../src/events/fold.ts";

function tool(id: number, more: Partial<ToolExecution>): ToolExecution {
  return {
    tool_call_id: `call-${id}`,
    tool_name: "t",
    tool_args: {},
    tool_call_error: null,
    result: null,
    metrics: null,
    stop_after_tool_call: false,
    created_at: 0,
    ...more,
  };
}

const usage = {
  input_tokens: 1,
  output_tokens: 2,
  total_tokens: 3,
  reasoning_tokens: 0,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
};
const model = { model: "m", model_provider: "p" };

const event: fc.Arbitrary<RunEventBody> = fc.oneof(
  fc.string().map((content): RunEventBody => ({ event: "RunContent", content, content_type: "str" })),
  fc.constant<RunEventBody>({ event: "ModelRequestCompleted", ...model, ...usage }),
  fc.nat(3).map((id): RunEventBody => ({ event: "ToolCallStarted", tool: tool(id, {}) })),
  fc.nat(3).map(
    (id): RunEventBody => ({
      event: "ToolCallCompleted",
      content: "",
      tool: tool(id, { result: "r", tool_call_error: false }),
    }),
  ),
  fc.nat(3).map((id): RunEventBody => {
    const waits = tool(id, { requires_confirmation: true });
    const requirements = [{ id: `r-${id}`, created_at: "now", tool_execution: waits }];
    return {
      event: "RunPaused",
      content: "so far",
      tools: [waits],
      requirements,
      session_state: {},
      metrics: usage,
    };
  }),
  fc.nat(3).map(
    (id): RunEventBody => ({
      event: "RunContinued",
      tools: [tool(id, { requires_confirmation: false, confirmed: true })],
    }),
  ),
);

/** What happens to a run: events, checkpoints, and crashes after which it goes on from the last checkpoint. */
const history = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: event },
    { weight: 2, arbitrary: fc.constant("checkpoint" as const) },
    { weight: 1, arbitrary: fc.constant("crash" as const) },
  ),
  { maxLength: 60 },
);

test("the fold of a log is the fold that whoever ran it had, however often it was taken up from a checkpoint", () => {
  fc.assert(
    fc.property(history, (steps) => {
      const log: (RunEventBody & { event_index: number })[] = [];
      let live: FoldedRun = emptyFold();
      let checkpoint = structuredClone(live);
      const append = (body: RunEventBody) => {
        const event_index = log.length;
        // A log is JSON: nothing of the fold is shared with it.
        log.push(structuredClone({ ...body, event_index }));
        applyEvent(live, structuredClone(body), event_index);
      };
      append({ event: "RunStarted", ...model });
      for (const [attempt, step] of steps.entries()) {
        if (step === "checkpoint") checkpoint = structuredClone(live);
        else if (step === "crash") {
          live = structuredClone(checkpoint);
          append({ event: "RunRecovered", attempt, discard_from_index: checkpoint.last_event_index + 1 });
        } else append(step);
      }
      const before = structuredClone(log);
      expect(fold(log)).toEqual(live);
      expect(log).toEqual(before);
    }),
  );
});
