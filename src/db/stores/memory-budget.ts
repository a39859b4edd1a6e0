import type { StoredMemory } from "../memories.ts";

/** Characters that a memory takes in a prompt beside its text and topics: its id, and what stands between them. */
const frame = 56;

/** How many memories could ever fit: those that say next to nothing. */
export function mostThatFit(budget: number): number {
  return Math.ceil(budget / frame);
}

/**
 * Memories that fit a budget: the first of each list, then the second of each, and so on, each once.
 *
 * @param lists - each with what matters most first
 * @param budget - characters
 * @returns oldest first
 */
export function withinBudget(lists: readonly (readonly StoredMemory[])[], budget: number): StoredMemory[] {
  const chosen = new Map<string, StoredMemory>();
  let left = budget;
  const longest = Math.max(...lists.map((list) => list.length));
  for (let at = 0; at < longest; at++) {
    for (const list of lists) {
      const memory = list[at];
      if (!memory || chosen.has(memory.memoryId)) continue;
      const size = frame + memory.memory.length + memory.topics.join(", ").length;
      if (size > left) continue;
      left -= size;
      chosen.set(memory.memoryId, memory);
    }
  }
  return [...chosen.values()].sort((a, b) => a.updatedAt - b.updatedAt);
}
