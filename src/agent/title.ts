import type { Message } from "../events/messages.ts";
import type { Model } from "../models/model.ts";
import { type Asking, ask } from "./ask.ts";
import { transcript } from "./summary.ts";

const instructions = `Give the conversation below a title of two to six words, in its own language.
Answer with the title alone: no quotes, no full stop.`;

/** Characters that a title has at most. */
const longest = 80;

/**
 * A short name for a conversation, from its first exchange.
 *
 * @returns undefined where the model said nothing that could be one
 * @throws {ModelError} when the model fails
 */
export async function titleOf(
  model: Model,
  messages: readonly Message[],
  asking: Asking = {},
): Promise<string | undefined> {
  const { text } = await ask(model, {
    instructions,
    text: transcript(messages).slice(0, 4000),
    ...asking,
  });
  const title = text
    .replace(/[\s\u0000-\u001f\u007f]+/g, " ")
    .replace(/^["'“”«»\s]+|["'“”«»\s.]+$/g, "")
    .slice(0, longest)
    .trim();
  return title === "" ? undefined : title.toWellFormed();
}
