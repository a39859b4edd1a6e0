import type { Kysely } from "kysely";
import { NotFoundError } from "../../errors.ts";
import type { MemoryChange } from "../../events/memories.ts";
import type { Engine } from "../engine.ts";
import type { MemoryOperation, MemorySource } from "../memories.ts";
import type { Tables } from "../schema.ts";
import type { Scope } from "../stores/scope.ts";
import { insertMemory, memoryText, replaceTopics, sourceColumns, topicsOf } from "./memories.ts";

/** Single changes of memories, each for use within a transaction. None reaches beyond the scope. */
export class MemoryChanges {
  readonly #scope: Scope;
  readonly #now: () => number;

  /** @param now - gives the time of a change in milliseconds */
  constructor(scope: Scope, now: () => number) {
    this.#scope = scope;
    this.#now = now;
  }

  /**
   * Does one operation. What is remembered in the same words already is not added a second time.
   *
   * @throws {NotFoundError} when the user has no such memory
   */
  async apply(
    db: Kysely<Tables>,
    userId: string,
    operation: MemoryOperation,
    source: MemorySource,
  ): Promise<MemoryChange> {
    switch (operation.op) {
      case "add": {
        const known = await this.#inTheseWords(db, userId, operation.memory);
        if (known !== undefined) {
          const { topics } = operation;
          return this.#updateOne(db, userId, known, topics && topics.length > 0 ? { topics } : {}, source);
        }
        const added = await insertMemory(db, {
          ...source,
          userId,
          memory: operation.memory,
          topics: operation.topics ?? [],
          at: this.#now(),
        });
        return { op: "add", memory_id: added.memoryId, memory: added.memory, topics: added.topics };
      }
      case "update":
        return this.#updateOne(db, userId, operation.memoryId, operation, source);
      case "delete": {
        const { memoryId } = operation;
        if ((await this.delete(db, [memoryId], userId)) === 0) throw notFound(memoryId);
        return { op: "delete", memory_id: memoryId };
      }
    }
  }

  /** Changes a memory and gives its text; undefined where there is none such. What is not given stays. */
  async update(
    db: Kysely<Tables>,
    memoryId: string,
    userId: string | undefined,
    change: { memory?: string; topics?: readonly string[] },
    source?: MemorySource,
  ): Promise<string | undefined> {
    let query = db
      .updateTable("memories")
      .set({
        updated_at: this.#now(),
        ...(change.memory !== undefined && { memory: memoryText(change.memory) }),
        ...(source && sourceColumns(source)),
      })
      .where("memory_id", "=", memoryId)
      .where((eb) => this.#scope.memories(eb));
    if (userId !== undefined) query = query.where("user_id", "=", userId);
    const row = await query.returning("memory").executeTakeFirst();
    if (row && change.topics) await replaceTopics(db, memoryId, change.topics);
    return row?.memory;
  }

  /** Deletes memories and says how many there were. */
  async delete(
    db: Kysely<Tables>,
    memoryIds: readonly string[],
    userId: string | undefined,
  ): Promise<number> {
    if (memoryIds.length === 0) return 0;
    let query = db
      .deleteFrom("memories")
      .where("memory_id", "in", memoryIds)
      .where((eb) => this.#scope.memories(eb));
    if (userId !== undefined) query = query.where("user_id", "=", userId);
    const gone = (await query.returning("memory_id").execute()).map((row) => row.memory_id);
    if (gone.length > 0) await this.deleteTopics(db, gone);
    return gone.length;
  }

  /** Deletes the topics of memories that are gone. */
  async deleteTopics(db: Kysely<Tables>, memoryIds: readonly string[]): Promise<void> {
    await db.deleteFrom("memory_topics").where("memory_id", "in", memoryIds).execute();
  }

  async #updateOne(
    db: Kysely<Tables>,
    userId: string,
    memoryId: string,
    change: { memory?: string; topics?: readonly string[] },
    source: MemorySource,
  ): Promise<MemoryChange> {
    const memory = await this.update(db, memoryId, userId, change, source);
    if (memory === undefined) throw notFound(memoryId);
    const topics = (await topicsOf(db, [memoryId])).get(memoryId) ?? [];
    return { op: "update", memory_id: memoryId, memory, topics };
  }

  async #inTheseWords(db: Kysely<Tables>, userId: string, memory: string): Promise<string | undefined> {
    const known = await db
      .selectFrom("memories")
      .select("memory_id")
      .where("user_id", "=", userId)
      .where("memory", "=", memoryText(memory))
      .executeTakeFirst();
    return known?.memory_id;
  }
}

/**
 * Keeps a run from being deleted until the transaction ends: nothing may be remembered of a user who was erased meanwhile.
 *
 * @throws {NotFoundError} when it was deleted
 */
export async function holdRun(engine: Engine, db: Kysely<Tables>, runId: string): Promise<void> {
  const run = db.selectFrom("runs").select("run_id").where("run_id", "=", runId);
  if (await engine.locked(run).executeTakeFirst()) return;
  throw new NotFoundError(`The run ${runId} was deleted, and nothing is remembered of it.`);
}

function notFound(memoryId: string): NotFoundError {
  return new NotFoundError(`Memory with ID ${memoryId} not found`);
}
