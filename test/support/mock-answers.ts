import type { JsonObject } from "../../src/events/json.ts";
import type { Plan } from "./mock-directives.ts";

/** A stream's text: what comes before the pieces that are paced, those, and what follows. */
export interface Frames {
  head: string;
  pieces: string[];
  tail: string;
}

let serial = 0;

/** The answer of `POST /v1/responses` in one piece. */
export function wholeResponse(plan: Plan, { model, include }: JsonObject): JsonObject {
  const items = outputItems(plan, ++serial, include);
  return responseObject(serial, model, "completed", items, responseUsage(plan));
}

/** The answer of `POST /v1/responses` as a stream. */
export function responseFrames(plan: Plan, { model, include }: JsonObject): Frames {
  const id = ++serial;
  const items = outputItems(plan, id, include);
  let sequence = 0;
  const event = (type: string, fields: JsonObject): string =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...fields })}\n\n`;

  const begun = { response: responseObject(id, model, "in_progress", [], null) };
  const frames: Frames = {
    head: event("response.created", begun) + event("response.in_progress", begun),
    pieces: [],
    tail: "",
  };
  for (const [index, item] of items.entries()) {
    const at = { output_index: index, item_id: item.id };
    if (item.type === "reasoning") {
      frames.head += event("response.output_item.added", {
        output_index: index,
        item: { ...item, summary: [] },
      });
      const part = { ...at, summary_index: 0 };
      const empty = { type: "summary_text", text: "" };
      frames.head += event("response.reasoning_summary_part.added", { ...part, part: empty });
      for (const delta of plan.reasoning)
        frames.head += event("response.reasoning_summary_text.delta", { ...part, delta });
      const text = plan.reasoning.join("");
      frames.head += event("response.reasoning_summary_text.done", { ...part, text });
      frames.head += event("response.reasoning_summary_part.done", { ...part, part: { ...empty, text } });
    } else if (item.type === "function_call") {
      frames.head += event("response.output_item.added", {
        output_index: index,
        item: { ...item, arguments: "" },
      });
      frames.head += event("response.function_call_arguments.delta", { ...at, delta: item.arguments });
      frames.head += event("response.function_call_arguments.done", { ...at, arguments: item.arguments });
    } else {
      const part = { ...at, content_index: 0 };
      const empty = { type: "output_text", text: "", annotations: [] };
      frames.head += event("response.output_item.added", {
        output_index: index,
        item: { ...item, content: [] },
      });
      frames.head += event("response.content_part.added", { ...part, part: empty });
      // By hand: this is most of what the benchmark streams.
      for (const word of plan.words)
        frames.pieces.push(
          `event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":${sequence++},"output_index":${index},"item_id":"${item.id}","content_index":0,"delta":${JSON.stringify(word)},"logprobs":[]}\n\n`,
        );
      const text = plan.words.join("");
      frames.tail += event("response.output_text.done", { ...part, text });
      frames.tail += event("response.content_part.done", { ...part, part: { ...empty, text } });
    }
    const done = event("response.output_item.done", { output_index: index, item });
    // A message is the last item, and the only one that is paced.
    if (item.type === "message") frames.tail += done;
    else frames.head += done;
  }
  const response = responseObject(id, model, "completed", items, responseUsage(plan));
  frames.tail += event("response.completed", { response });
  return frames;
}

function outputItems(plan: Plan, id: number, include: unknown): JsonObject[] {
  const items: JsonObject[] = [];
  if (plan.reasoning.length > 0) {
    const isEncrypted = Array.isArray(include) && include.includes("reasoning.encrypted_content");
    const summary = [{ type: "summary_text", text: plan.reasoning.join("") }];
    items.push({
      type: "reasoning",
      id: `rs_${id}`,
      summary,
      ...(isEncrypted && { encrypted_content: `encrypted_${id}` }),
    });
  }
  for (const [index, call] of plan.calls.entries()) {
    const status = "completed";
    items.push({
      type: "function_call",
      id: `fc_${id}_${index}`,
      call_id: `call_${id}_${index}`,
      ...call,
      status,
    });
  }
  if (plan.calls.length === 0) {
    const content = [{ type: "output_text", text: plan.words.join(""), annotations: [], logprobs: [] }];
    items.push({ type: "message", id: `msg_${id}`, role: "assistant", status: "completed", content });
  }
  return items;
}

function responseObject(
  id: number,
  model: unknown,
  status: string,
  output: JsonObject[],
  usage: JsonObject | null,
): JsonObject {
  return {
    id: `resp_${id}`,
    object: "response",
    created_at: Math.floor(Date.now() / 1000),
    status,
    model,
    output,
    usage,
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    parallel_tool_calls: true,
    tool_choice: "auto",
    tools: [],
  };
}

function outputTokens(plan: Plan): number {
  return plan.reasoning.length + (plan.calls.length || plan.words.length);
}

function responseUsage(plan: Plan): JsonObject {
  const output = outputTokens(plan);
  return {
    input_tokens: plan.inputWords,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: plan.reasoning.length },
    total_tokens: plan.inputWords + output,
  };
}

function chatUsage(plan: Plan): JsonObject {
  const output = outputTokens(plan);
  return {
    prompt_tokens: plan.inputWords,
    completion_tokens: output,
    total_tokens: plan.inputWords + output,
  };
}

function chatCalls(plan: Plan, id: number): JsonObject[] {
  return plan.calls.map((call, index) => ({
    index,
    id: `call_${id}_${index}`,
    type: "function",
    function: call,
  }));
}

/** The answer of `POST /v1/chat/completions` in one piece. */
export function chatCompletion(plan: Plan, { model }: JsonObject): JsonObject {
  const id = ++serial;
  const calls = chatCalls(plan, id);
  const isCall = calls.length > 0;
  const message = {
    role: "assistant",
    content: isCall ? null : plan.words.join(""),
    ...(isCall && { tool_calls: calls }),
  };
  return {
    id: `chatcmpl-${id}`,
    object: "chat.completion",
    created: Math.floor(Date.now() / 1000),
    model,
    choices: [{ index: 0, message, finish_reason: isCall ? "tool_calls" : "stop" }],
    usage: chatUsage(plan),
  };
}

/** The answer of `POST /v1/chat/completions` as a stream. */
export function chatFrames(plan: Plan, { model }: JsonObject): Frames {
  const id = ++serial;
  const calls = chatCalls(plan, id);
  const isCall = calls.length > 0;
  const common = {
    id: `chatcmpl-${id}`,
    object: "chat.completion.chunk",
    created: Math.floor(Date.now() / 1000),
    model,
  };
  const chunk = (delta: JsonObject, finish_reason: string | null = null, more: JsonObject = {}): string =>
    `data: ${JSON.stringify({ ...common, choices: [{ index: 0, delta, finish_reason }], ...more })}\n\n`;
  return {
    head:
      chunk({ role: "assistant", content: "" }) + calls.map((call) => chunk({ tool_calls: [call] })).join(""),
    pieces: isCall ? [] : plan.words.map((content) => chunk({ content })),
    tail: `${chunk({}, isCall ? "tool_calls" : "stop", { usage: chatUsage(plan) })}data: [DONE]\n\n`,
  };
}
