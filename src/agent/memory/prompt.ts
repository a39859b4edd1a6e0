import type { StoredMemory } from "../../db/memories.ts";
import { whatToRemember } from "./operations.ts";
import { memoryToolName } from "./tool.ts";

/**
 * What the system prompt says of the user.
 *
 * @param mayChange - whether the model has the tool that changes them
 * @returns undefined where there is nothing to say
 */
export function memoryBlock(memories: readonly StoredMemory[], mayChange: boolean): string | undefined {
  if (memories.length === 0 && !mayChange) return undefined;
  const known =
    memories.length === 0
      ? "You remember things about the user from one conversation to the next. So far you remember nothing about them."
      : `What you remember about the user from earlier conversations, oldest first. What they say now counts for more:
<user_memories>
${memoryLines(memories)}
</user_memories>`;
  if (!mayChange) return known;
  return `${known}\n\nUse ${memoryToolName} to change it; the ids stand in brackets. ${whatToRemember}`;
}

/** Memories as a model reads them: a line each, with its id. */
export function memoryLines(memories: readonly StoredMemory[]): string {
  return memories.map(memoryLine).join("\n");
}

function memoryLine({ memoryId, memory, topics }: StoredMemory): string {
  const about = topics.length > 0 ? ` (${topics.join(", ")})` : "";
  // What a user had written down must not look like another line, or like the end of the list.
  return `- [${memoryId}] ${memory}${about}`.replaceAll("</user_memories>", " ").replace(/\s*\n\s*/g, " ");
}
