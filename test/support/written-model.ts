import type { Model, ModelEvent, ModelMessage } from "agentos-ts";

/** A turn that a test writes: what the model says, or the calls that it asks for. */
export type WrittenTurn = string | readonly { name: string; arguments?: object }[];

/**
 * A model that says what a test wrote, turn by turn: which turn it is, it sees from what is said since the last user
 * message. So it goes on rightly after a restart too.
 */
export class WrittenModel implements Model {
  readonly id = "written";
  readonly provider = "Test";
  readonly name = "WrittenModel";
  /** What it was asked, request by request, a message as `role: content`. */
  readonly saw: string[][] = [];
  readonly #turns: readonly WrittenTurn[];

  constructor(...turns: WrittenTurn[]) {
    this.#turns = turns;
  }

  async *generate({ messages }: { messages: readonly ModelMessage[] }): AsyncGenerator<ModelEvent> {
    this.saw.push(messages.map(({ role, content }) => `${role}: ${content ?? "(calls)"}`));
    const user = messages.findLastIndex(({ role }) => role === "user");
    const at = messages.slice(user).filter(({ role }) => role === "assistant").length;
    const turn = this.#turns[Math.min(at, this.#turns.length - 1)]!;
    if (typeof turn === "string") yield { type: "text", delta: turn };
    else {
      for (const [i, call] of turn.entries()) {
        const id = `call-${user}-${at}-${i}`;
        const json = JSON.stringify(call.arguments ?? {});
        yield { type: "tool-call", id, callId: `provider-${id}`, name: call.name, arguments: json };
      }
    }
    const usage = {
      input_tokens: 1,
      output_tokens: 1,
      total_tokens: 2,
      reasoning_tokens: 0,
      cache_read_tokens: 0,
      cache_write_tokens: 0,
    };
    yield { type: "finish", usage, finishReason: typeof turn === "string" ? "stop" : "tool-calls" };
  }
}
