import { addTokens, noTokens, type TokenUsage } from "../events/metrics.ts";
import type { Model, ModelRequest } from "../models/model.ts";
import { refuseCutOff } from "./finish.ts";
import type { LoopObserver } from "./loop-observer.ts";
import type { OutputSchema } from "./output.ts";
import { newMessage } from "./prompt.ts";

/** Listens to a question to a model. Must not throw. */
export type AskObserver = Pick<LoopObserver, "modelRequested" | "modelAnswered">;

/** One question to a model that is no run: a title, a summary, what to remember. */
export interface Question {
  instructions: string;
  /** What it is about, as the user's message. */
  text: string;
  output?: OutputSchema;
  signal?: AbortSignal;
  observer?: AskObserver;
}

/** What whoever asks may add. */
export type Asking = Pick<Question, "signal" | "observer">;

/** Seconds that such a question may take. */
const timeLimit = 60;

/**
 * Asks a model one thing.
 *
 * @returns what it said, and what that used
 * @throws {ModelError} when the provider fails, or ends the answer too soon; it is not tried again, for nobody waits for it
 */
export async function ask(model: Model, question: Question): Promise<{ text: string; usage: TokenUsage }> {
  const { instructions, text, output, observer } = question;
  const messages = [newMessage("system", { content: instructions }), newMessage("user", { content: text })];
  const timeout = AbortSignal.timeout(timeLimit * 1000);
  const request: ModelRequest = {
    messages,
    tools: [],
    stream: false,
    signal: question.signal ? AbortSignal.any([question.signal, timeout]) : timeout,
    ...(output && { output: { name: output.name, schema: output.schema } }),
  };
  observer?.modelRequested(messages, false);
  const usage = noTokens();
  let answer = "";
  for await (const given of model.generate(request)) {
    for (const event of [given].flat()) {
      if (event.type === "text") answer += event.delta;
      else if (event.type === "finish") {
        addTokens(usage, event.usage);
        const { finishReason, lostCall = false } = event;
        const said = newMessage("assistant", { content: answer, finish_reason: finishReason });
        observer?.modelAnswered(said, event.usage);
        refuseCutOff({ finishReason, lostCall, text: answer, calls: [] }, output !== undefined);
      }
    }
  }
  return { text: answer, usage };
}
