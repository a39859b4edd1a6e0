import { z } from "@hono/zod-openapi";
import { type MemoryCursor, memoryLimits, type StoredMemory } from "../db/memories.ts";
import { identifier, optionalIdentifier } from "./identifiers.ts";
import { isoTime } from "./present.ts";

const memoryText = z
  .string()
  .min(1, "The memory is empty")
  .max(memoryLimits.memory, `A memory has at most ${memoryLimits.memory} characters`)
  .refine((text) => text.trim() !== "", "The memory is empty")
  .openapi({ example: "Prefers answers in bullet points" });

const topics = z
  .array(z.string().max(memoryLimits.topic, `A topic has at most ${memoryLimits.topic} characters`))
  .max(memoryLimits.topics, `A memory has at most ${memoryLimits.topics} topics`)
  .nullish()
  .openapi({ example: ["preferences"] });

const user = optionalIdentifier.openapi({ example: "sarah@acme.com" });

/** The body of a new memory. That it names a user is checked apart: it is 400, not 422. */
export const newMemoryBody = z.object({ memory: memoryText, user_id: user, topics }).openapi("NewMemory");

/** The body of a change. Topics that are left out stay. */
export const memoryPatchBody = z.object({ memory: memoryText, user_id: user, topics }).openapi("MemoryPatch");

/** The body of a multi-delete. */
export const memoryDeleteBody = z
  .object({
    memory_ids: z
      .array(identifier)
      .min(1, "List should have at least 1 item")
      .max(1000, "List should have at most 1000 items"),
    user_id: user.openapi({ description: "Only this user's are deleted." }),
  })
  .openapi("MemoryDelete", { example: { memory_ids: ["019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11"] } });

/** The body of an optimization. */
export const optimizeBody = z
  .object({
    user_id: identifier.openapi({ example: "sarah@acme.com" }),
    model: z
      .union([z.literal("").transform(() => undefined), z.string().max(255)])
      .nullish()
      .openapi({ description: "The id of a model that is served here. Default: that of the agents." }),
    apply: z.boolean().default(true).openapi({ description: "Without, it is a preview." }),
  })
  .openapi("OptimizeMemories");

/** A memory as it is answered. */
export const memorySchema = z
  .object({
    memory_id: z.string(),
    memory: z.string(),
    topics: z.array(z.string()),
    agent_id: z.string().nullable().openapi({ description: "The agent that wrote it." }),
    team_id: z.null(),
    user_id: z.string(),
    updated_at: z.string().openapi({ format: "date-time" }),
    created_at: z.string().openapi({ format: "date-time" }),
    run_id: z.string().optional().openapi({ description: "The run in which it was written." }),
    session_id: z.string().optional(),
    input: z.string().optional().openapi({ description: "What the user had said then." }),
  })
  .openapi("Memory", {
    example: {
      memory_id: "019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11",
      memory: "Prefers answers in bullet points",
      topics: ["preferences"],
      agent_id: "copilot",
      team_id: null,
      user_id: "sarah@acme.com",
      updated_at: "2026-11-24T05:07:46Z",
      created_at: "2026-11-24T05:07:46Z",
      run_id: "run_019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11",
      session_id: "thread-42",
      input: "Bullet points, please",
    },
  });

/** A memory as it leaves the server. */
export function presentMemory(memory: StoredMemory): z.input<typeof memorySchema> {
  return {
    memory_id: memory.memoryId,
    memory: memory.memory,
    topics: memory.topics,
    agent_id: memory.agentId ?? null,
    team_id: null,
    user_id: memory.userId,
    updated_at: memoryTime(memory.updatedAt),
    created_at: memoryTime(memory.createdAt),
    ...(memory.runId !== undefined && { run_id: memory.runId }),
    ...(memory.sessionId !== undefined && { session_id: memory.sessionId }),
    ...(memory.input !== undefined && { input: memory.input }),
  };
}

/** A time in milliseconds as memories show it. */
export function memoryTime(milliseconds: number): string {
  return isoTime(Math.floor(milliseconds / 1000));
}

const topicList = z.union([z.string(), z.array(z.string())]).optional();

/** What a list of memories may be asked for, beside its page. */
export const memoryListQuery = {
  user_id: optionalIdentifier,
  agent_id: optionalIdentifier,
  team_id: optionalIdentifier.openapi({ description: "There are no teams: a list of one is empty." }),
  search_content: z.string().max(1000).optional().openapi({
    description: "Words that a memory must have, best match first. `limit` is 100 at most then.",
  }),
  topics: topicList.openapi({ description: "Several, or one with commas: a memory must have all of them." }),
  sort_by: z.enum(["updated_at", "created_at"]).default("updated_at"),
  sort_order: z.enum(["asc", "desc"]).default("desc"),
  cursor: z
    .string()
    .regex(/^\d{1,15}\.[\w-]{1,64}$/, "Not a cursor of this list")
    .optional()
    .openapi({
      description: "The `next_cursor` of another page with the same order, in the place of `page`.",
    }),
};

/** The topics that a query names, together or one by one. */
export function topicsOf(given: z.output<typeof topicList>): string[] {
  return [given ?? []]
    .flat()
    .flatMap((topics) => topics.split(","))
    .map((topic) => topic.trim())
    .filter((topic) => topic !== "");
}

/** The place in a list that a cursor names. */
export function cursorOf(cursor: string): MemoryCursor {
  const dot = cursor.indexOf(".");
  return { time: Number(cursor.slice(0, dot)), memoryId: cursor.slice(dot + 1) };
}
