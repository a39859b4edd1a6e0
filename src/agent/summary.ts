import * as z from "zod";
import type { Message } from "../events/messages.ts";
import type { TokenUsage } from "../events/metrics.ts";
import type { Model } from "../models/model.ts";
import { type Asking, ask } from "./ask.ts";
import { outputFromZod } from "./output.ts";

/** What a conversation was about, as it is stored with its session. */
export interface SessionSummary {
  summary: string;
  topics: string[];
  /** ISO 8601. */
  updated_at?: string;
}

const shape = z
  .object({ summary: z.string().min(1), topics: z.array(z.string()).max(20) })
  .meta({ title: "SessionSummary" });
const output = outputFromZod("SessionSummary", shape);

const instructions = `You keep the summary of a conversation between a user and an assistant.
You get the summary so far, if there is one, and what was said since. Write the summary that stands for both:
what the user wants, what was decided, found or promised, and names, numbers and dates that matter later.
Leave out pleasantries. At most 200 words. Topics: a few words each, at most five.`;

/**
 * Brings a summary up to date.
 *
 * @param before - the summary so far
 * @param said - what came since, oldest first
 * @throws {ModelError | OutputSchemaError} when the model fails, or answers something else
 */
export async function summarize(
  model: Model,
  before: SessionSummary | undefined,
  said: readonly Message[],
  asking: Asking = {},
): Promise<{ summary: SessionSummary; usage: TokenUsage }> {
  const text = `${before ? `Summary so far:\n${before.summary}\n\n` : ""}What was said:\n${transcript(said)}`;
  const answer = await ask(model, { instructions, text, output, ...asking });
  const { summary, topics } = shape.parse(await output.parse(answer.text));
  return { summary: { summary, topics, updated_at: new Date().toISOString() }, usage: answer.usage };
}

/** What the system prompt says of a conversation whose beginning the model is not shown. */
export function summaryBlock({ summary }: SessionSummary): string {
  return `What was said before in this conversation, in short (what follows may be newer):\n<summary>\n${summary}\n</summary>`;
}

/** Messages as a text that a model can read: who said what. */
export function transcript(messages: readonly Message[]): string {
  return messages
    .filter(({ role, content }) => role !== "system" && content)
    .map(({ role, content }) => `${role === "tool" ? "tool result" : role}: ${content}`)
    .join("\n");
}
