import type { MemoryChange } from "../../events/memories.ts";
import type { ToolDefinition } from "../../models/model.ts";
import { type Tool, tool } from "../tool.ts";
import { operationsSchema } from "./operations.ts";
import type { UserMemories } from "./user-memories.ts";

/** What the model calls it by. */
export const memoryToolName = "update_user_memory";

/**
 * The tool by which a model changes what is remembered of its user. It takes the changes themselves, so that one costs no
 * second model call.
 *
 * @param changes - gets what became of each memory
 */
export function memoryTool(memories: UserMemories, changes: MemoryChange[]): Tool {
  return tool({
    name: memoryToolName,
    description:
      "Adds, updates or deletes memories of the user. All the changes of one call are made, or none. " +
      "Call it when you learn something lasting about the user, and when they ask you to remember or to forget.",
    inputSchema: operationsSchema,
    execute: async ({ operations }) => {
      const made = await memories.apply(operations);
      changes.push(...made);
      return `Done: ${made.map(({ op, memory_id }) => `${op} ${memory_id}`).join(", ")}`;
    },
  });
}

const nobodys: UserMemories = {
  relevant: () => Promise.resolve([]),
  apply: () => Promise.resolve([]),
};

let definition: ToolDefinition | undefined;

/** What a model is told of the tool. Made when it is first asked for: most servers have no agent that has it. */
export function memoryToolDefinition(): ToolDefinition {
  definition ??= memoryTool(nobodys, []).definition;
  return definition;
}
