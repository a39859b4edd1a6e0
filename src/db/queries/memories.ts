import type { Kysely, Selectable } from "kysely";
import { newId } from "../../events/ids.ts";
import { type MemorySource, type MemoryText, memoryLimits, type StoredMemory } from "../memories.ts";
import type { Tables } from "../schema.ts";
import { ownerWord, searchableText } from "../search.ts";

/** The columns of a memory that are read. */
export const memoryColumns = [
  "memories.memory_id",
  "memories.user_id",
  "memories.agent_id",
  "memories.memory",
  "memories.input",
  "memories.run_id",
  "memories.session_id",
  "memories.created_at",
  "memories.updated_at",
] as const;

type MemoryRow = Omit<Selectable<Tables["memories"]>, "memory_seq" | "owner">;

/** Rows of memories with their topics. */
export async function memoriesOf(db: Kysely<Tables>, rows: readonly MemoryRow[]): Promise<StoredMemory[]> {
  const topics = await topicsOf(
    db,
    rows.map((row) => row.memory_id),
  );
  return rows.map((row) => ({
    memoryId: row.memory_id,
    userId: row.user_id,
    memory: row.memory,
    topics: topics.get(row.memory_id) ?? [],
    ...(row.agent_id !== null && { agentId: row.agent_id }),
    ...(row.input !== null && { input: row.input }),
    ...(row.run_id !== null && { runId: row.run_id }),
    ...(row.session_id !== null && { sessionId: row.session_id }),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }));
}

/** The topics of memories, by id. */
export async function topicsOf(db: Kysely<Tables>, ids: readonly string[]): Promise<Map<string, string[]>> {
  const topics = new Map<string, string[]>();
  if (ids.length === 0) return topics;
  const rows = await db
    .selectFrom("memory_topics")
    .select(["memory_id", "topic"])
    .where("memory_id", "in", ids)
    .orderBy("memory_id")
    .orderBy("position")
    .execute();
  for (const { memory_id, topic } of rows) {
    const known = topics.get(memory_id);
    if (known) known.push(topic);
    else topics.set(memory_id, [topic]);
  }
  return topics;
}

/** Writes a new memory. */
export async function insertMemory(
  db: Kysely<Tables>,
  { userId, memory, topics, at, ...source }: { userId: string; at: number } & MemoryText & MemorySource,
): Promise<StoredMemory> {
  const stored: StoredMemory = {
    memoryId: newId(),
    userId,
    memory: memoryText(memory),
    topics: cleanTopics(topics),
    ...source,
    createdAt: at,
    updatedAt: at,
  };
  await db
    .insertInto("memories")
    .values({
      memory_id: stored.memoryId,
      user_id: userId,
      owner: ownerWord(userId),
      memory: stored.memory,
      ...sourceColumns(source),
      created_at: at,
      updated_at: at,
    })
    .execute();
  await insertTopics(db, stored.memoryId, stored.topics);
  return stored;
}

/** Puts other topics in the place of a memory's. */
export async function replaceTopics(
  db: Kysely<Tables>,
  memoryId: string,
  topics: readonly string[],
): Promise<void> {
  await db.deleteFrom("memory_topics").where("memory_id", "=", memoryId).execute();
  await insertTopics(db, memoryId, cleanTopics(topics));
}

/** Where a memory comes from, as columns. */
export function sourceColumns({ agentId, runId, sessionId, input }: MemorySource) {
  return {
    agent_id: agentId ?? null,
    run_id: runId ?? null,
    session_id: sessionId ?? null,
    input: input === undefined ? null : memoryText(input),
  };
}

/** A text as both engines store it: PostgreSQL takes no NUL and no half of a pair. */
export function memoryText(text: string): string {
  return searchableText(text.slice(0, memoryLimits.memory));
}

/** Topics as they are stored: each once, and none empty. */
export function cleanTopics(topics: readonly string[]): string[] {
  const cleaned = topics.map((topic) => searchableText(topic).trim().slice(0, memoryLimits.topic));
  return [...new Set(cleaned)].filter((topic) => topic !== "").slice(0, memoryLimits.topics);
}

async function insertTopics(db: Kysely<Tables>, memoryId: string, topics: readonly string[]): Promise<void> {
  if (topics.length === 0) return;
  await db
    .insertInto("memory_topics")
    .values(topics.map((topic, position) => ({ memory_id: memoryId, position, topic })))
    .execute();
}
