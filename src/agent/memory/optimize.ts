import * as z from "zod";
import { type MemoryText, memoryLimits, type StoredMemory } from "../../db/memories.ts";
import { OutputSchemaError } from "../../errors.ts";
import type { TokenUsage } from "../../events/metrics.ts";
import type { Model } from "../../models/model.ts";
import { ask } from "../ask.ts";
import { outputFromZod } from "../output.ts";

const shape = z
  .strictObject({ memories: z.array(z.strictObject({ memory: z.string(), topics: z.array(z.string()) })) })
  .meta({ title: "MergedMemories" });
const output = outputFromZod("MergedMemories", shape);

const instructions = `Below is all that is remembered about one user, a line each, oldest first. Say the same in fewer and \
shorter memories: put together what belongs together, leave out what is said twice, and where two lines contradict each \
other, keep the later one. Lose no fact, name, date or number, and add none. \
Each memory is at most ${memoryLimits.memory} characters. Topics: one to three words each.`;

/** Memories in the place of others, and what it took to make them. */
export interface MergedMemories {
  memories: MemoryText[];
  usage: TokenUsage;
}

/**
 * Merges memories into fewer, by one model call. Nothing is stored.
 *
 * @param memories - at least one, oldest first
 * @throws {ModelError | OutputSchemaError} when the model fails, or answers what cannot stand in their place
 */
export async function mergeMemories(
  model: Model,
  memories: readonly StoredMemory[],
  signal: AbortSignal,
): Promise<MergedMemories> {
  const text = memories
    .map(({ memory, topics }) => `- ${memory.replace(/\s*\n\s*/g, " ")} (${topics.join(", ")})`)
    .join("\n");
  const { text: said, usage } = await ask(model, { instructions, text, output, signal });
  const merged = await mergedOf(said, memories);
  const usable = merged.every(({ memory }) => memory !== "" && memory.length <= memoryLimits.memory);
  if (merged.length > 0 && usable) return { memories: merged, usage };
  throw new OutputSchemaError("The model gave nothing that could stand in the place of the memories.");
}

/** A model that knows no output schemas answers in words: they are one memory, about all that the others were about. */
async function mergedOf(answer: string, memories: readonly StoredMemory[]): Promise<MemoryText[]> {
  const trimmed = answer.trim().replace(/^```(?:json)?\s*([\s\S]*?)\s*```$/, "$1");
  if (!trimmed.startsWith("{")) {
    return [{ memory: trimmed, topics: [...new Set(memories.flatMap(({ topics }) => topics))] }];
  }
  return shape.parse(await output.parse(trimmed)).memories.map(({ memory, topics }) => ({
    memory: memory.trim(),
    topics,
  }));
}

/** About how many tokens memories take, four characters each. */
export function tokensOf(memories: readonly Pick<MemoryText, "memory">[]): number {
  return memories.reduce((sum, { memory }) => sum + Math.ceil(memory.length / 4), 0);
}
