import type { Message } from "../../events/messages.ts";
import type { Model } from "../../models/model.ts";
import { type Asking, ask } from "../ask.ts";
import { outputFromZod } from "../output.ts";
import { transcript } from "../summary.ts";
import { anyOperationsSchema, whatToRemember } from "./operations.ts";
import { memoryLines } from "./prompt.ts";
import type { UserMemories } from "./user-memories.ts";

const output = outputFromZod("Memory", anyOperationsSchema);

const instructions = `You keep what an assistant remembers about its user. You get what is known, each memory with its id in \
brackets, and an exchange between the user and the assistant. Answer with the changes that follow from what the user said, \
or with none: most exchanges change nothing.
${whatToRemember}`;

/** Characters of an exchange that are looked at, from its beginning. */
const longestExchange = 20_000;

/**
 * Remembers what is worth it of an exchange, by one model call.
 *
 * @throws {ModelError | OutputSchemaError | NotFoundError} when the model fails, or asks for what cannot be; nothing is
 *   changed then
 */
export async function rememberExchange(
  model: Model,
  memories: UserMemories,
  exchange: readonly Message[],
  asking: Asking = {},
): Promise<void> {
  const known = await memories.relevant();
  const text = `Known:\n${known.length > 0 ? memoryLines(known) : "nothing yet"}\n\nExchange:\n${transcript(exchange).slice(0, longestExchange)}`;
  const answer = await ask(model, { instructions, text, output, ...asking });
  const { operations } = anyOperationsSchema.parse(await output.parse(answer.text));
  if (operations.length > 0) await memories.apply(operations);
}
