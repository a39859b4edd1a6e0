import * as z from "zod";
import { type MemoryOperation, memoryLimits } from "../../db/memories.ts";

/** Changes that a model may ask for at once. */
const mostOperations = 50;

const operation = z
  .strictObject({
    op: z.enum(["add", "update", "delete"]),
    memory_id: z
      .string()
      .nullish()
      .describe("The id of a known memory: needed to update or delete it, left out to add one."),
    memory: z
      .string()
      .max(memoryLimits.memory)
      .nullish()
      .describe("One short statement about the user, in the third person."),
    topics: z
      .array(z.string().max(memoryLimits.topic))
      .max(memoryLimits.topics)
      .nullish()
      .describe("One to three words each, such as travel or food."),
  })
  .transform(({ op, memory_id, memory, topics }, context): MemoryOperation => {
    const lacks = (field: string) => {
      context.addIssue({ code: "custom", path: [field], message: `"${op}" needs ${field}` });
      return z.NEVER;
    };
    if (op === "add") {
      if (!memory?.trim()) return lacks("memory");
      return { op, memory, ...(topics && { topics }) };
    }
    if (!memory_id) return lacks("memory_id");
    if (op === "delete") return { op, memoryId: memory_id };
    if (!memory?.trim() && !topics) return lacks("memory");
    return { op, memoryId: memory_id, ...(memory?.trim() && { memory }), ...(topics && { topics }) };
  });

/** The changes themselves, as a model gives them. */
export const operationsSchema = z.strictObject({
  operations: z.array(operation).min(1).max(mostOperations),
});

/** The same where there may be nothing to change. */
export const anyOperationsSchema = z
  .strictObject({ operations: z.array(operation).max(mostOperations) })
  .meta({ title: "MemoryOperations" });

/** What is worth remembering, in words for a model. */
export const whatToRemember = `Remember what will still matter in later conversations: who the user is, how they like things, \
what they work on, plans and events of their life, people and things that are important to them. \
Leave out what only matters now, what you cannot be sure of, and secrets such as passwords. \
Rather several short memories of one fact each than a long one. \
Never add what is known already: update the memory instead. When something has changed, update it. \
When the user wants something forgotten, delete every memory that tells of it.`;
