import { expect } from "vitest";
import { ModelError } from "../../src/errors.ts";
import type { Message } from "../../src/events/messages.ts";
import type { Model, ModelEvent, ModelMessage, ModelRequest } from "../../src/models/model.ts";

/** A message of which only what matters is given. */
export function message(
  role: Message["role"],
  content: string | undefined,
  more: Partial<ModelMessage> = {},
): ModelMessage {
  return {
    id: "msg",
    role,
    from_history: false,
    stop_after_tool_call: false,
    created_at: 0,
    ...(content !== undefined && { content }),
    ...more,
  };
}

/** A turn that asks `text`, streamed, with what `more` changes. */
export function turn(text: string, more: Partial<ModelRequest> = {}): ModelRequest {
  return {
    messages: [message("user", text)],
    tools: [],
    stream: true,
    signal: new AbortController().signal,
    ...more,
  };
}

/** What a model gives: events, alone or several together. */
export type TurnEvents = ReturnType<Model["generate"]>;

/** The events one by one, as they come. */
export async function* each(events: TurnEvents): AsyncGenerator<ModelEvent> {
  for await (const given of events) yield* [given].flat();
}

export async function collect(events: TurnEvents): Promise<ModelEvent[]> {
  const all: ModelEvent[] = [];
  for await (const event of each(events)) all.push(event);
  return all;
}

export function textOf(events: readonly ModelEvent[]): string {
  return events.map((event) => (event.type === "text" ? event.delta : "")).join("");
}

export function reasoningOf(events: readonly ModelEvent[]): string {
  return events.map((event) => (event.type === "reasoning" ? event.delta : "")).join("");
}

export function only<T extends ModelEvent["type"]>(
  events: readonly ModelEvent[],
  type: T,
): Extract<ModelEvent, { type: T }>[] {
  return events.filter((event): event is Extract<ModelEvent, { type: T }> => event.type === type);
}

/** The ModelError that a turn ends with. */
export async function failureOf(events: TurnEvents): Promise<ModelError> {
  const error = await collect(events).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ModelError);
  return error as ModelError;
}

/** The assistant message that an agent would store of a turn. */
export function remembered(events: readonly ModelEvent[]): ModelMessage {
  return message("assistant", textOf(events), {
    provider_items: only(events, "provider-item").map((event) => event.item),
    tool_calls: only(events, "tool-call").map((call) => ({
      id: call.id,
      call_id: call.callId,
      type: "function",
      function: { name: call.name, arguments: call.arguments },
    })),
  });
}
