import { type AliasableExpression, type ExpressionBuilder, type Kysely, sql } from "kysely";
import { ConflictError, NotFoundError } from "../../errors.ts";
import type { MemoryChange } from "../../events/memories.ts";
import type { Engine } from "../engine.ts";
import {
  type MemoryFilter,
  type MemoryOperation,
  type MemoryPage,
  type MemorySource,
  type MemoryStats,
  type MemoryText,
  mostCounted,
  type StoredMemory,
} from "../memories.ts";
import { insertMemory, memoriesOf, memoryColumns } from "../queries/memories.ts";
import { holdRun, MemoryChanges } from "../queries/memory-changes.ts";
import type { Tables } from "../schema.ts";
import { ownerWord, tellingWords, type WordQuery, wordsOf } from "../search.ts";
import { mostThatFit, withinBudget } from "./memory-budget.ts";
import type { Scope } from "./scope.ts";

/** Topics that a list of them holds at most. */
const mostTopics = 10_000;

/** Memories among which the most telling are looked for: what any word finds may be nearly all. */
const mostRanked = 2000;

/** What is remembered of users. A confined principal only ever reaches its own user's, whatever ids it names. */
export class MemoryStore {
  readonly #engine: Engine;
  readonly #scope: Scope;
  readonly #now: () => number;
  readonly #changes: MemoryChanges;

  /** @param now - gives the time of a change, never the same twice */
  constructor(engine: Engine, scope: Scope, now: () => number) {
    this.#engine = engine;
    this.#scope = scope;
    this.#now = now;
    this.#changes = new MemoryChanges(scope, now);
  }

  /** @throws {NotFoundError} when the principal may not write for that user */
  async create(memory: { userId: string } & MemoryText & MemorySource): Promise<StoredMemory> {
    this.#refuseOthers(memory.userId);
    return this.#engine.transaction((db) => insertMemory(db, { ...memory, at: this.#now() }));
  }

  /** One memory; undefined where the principal, or that user, has none such. */
  async get(memoryId: string, userId?: string): Promise<StoredMemory | undefined> {
    const { db } = this.#engine;
    let query = db
      .selectFrom("memories")
      .select(memoryColumns)
      .where("memory_id", "=", memoryId)
      .where((eb) => this.#scope.memories(eb));
    if (userId !== undefined) query = query.where("user_id", "=", userId);
    const rows = await query.execute();
    return (await memoriesOf(db, rows))[0];
  }

  /** A page of memories, and how many there are in all: no more than {@link mostCounted} and one are counted. */
  async list(filter: MemoryFilter, page: MemoryPage): Promise<{ memories: StoredMemory[]; total: number }> {
    const { db, search } = this.#engine;
    const words = filter.search === undefined ? undefined : wordsOf(filter.search);
    if (words?.length === 0) return { memories: [], total: 0 };
    const wanted = (eb: ExpressionBuilder<Tables, "memories">) => this.#wanted(eb, filter);
    const offset = page.cursor ? 0 : (page.page - 1) * page.limit;
    const column = `memories.${page.sortBy}` as const;
    if (words) {
      const found = search.matches("memories", this.#query(words, "all", filter.userId)).as("found");
      const matching = db
        .selectFrom("memories")
        .innerJoin(found, (join) => join.onRef("found.id", "=", "memories.memory_seq"))
        .where(wanted);
      const rows = await matching
        .select(memoryColumns)
        .orderBy("found.rank")
        .orderBy(column, page.order)
        .orderBy("memories.memory_id", page.order)
        .limit(page.limit)
        .offset(offset)
        .execute();
      const some = matching.select(sql<number>`1`.as("one")).limit(mostCounted + 1);
      return { memories: await memoriesOf(db, rows), total: await count(db, some) };
    }
    let query = db
      .selectFrom("memories")
      .select(memoryColumns)
      .where(wanted)
      .orderBy(column, page.order)
      .orderBy("memories.memory_id", page.order)
      .limit(page.limit)
      .offset(offset);
    if (page.cursor) {
      const { time, memoryId } = page.cursor;
      const after = page.order === "asc" ? ">" : "<";
      query = query.where((eb) =>
        eb(eb.refTuple(column, "memories.memory_id"), after, eb.tuple(time, memoryId)),
      );
    }
    const some = db
      .selectFrom("memories")
      .select(sql<number>`1`.as("one"))
      .where(wanted)
      .limit(mostCounted + 1);
    const memories = await memoriesOf(db, await query.execute());
    return { memories, total: await count(db, some) };
  }

  /** Changes a memory. Topics that are not given stay. Undefined where the principal, or that user, has none such. */
  async patch(
    memoryId: string,
    change: { memory: string; topics?: readonly string[] },
    userId?: string,
  ): Promise<StoredMemory | undefined> {
    const changed = await this.#engine.transaction((db) =>
      this.#changes.update(db, memoryId, userId, change),
    );
    return changed ? this.get(memoryId, userId) : undefined;
  }

  /** Deletes those of the memories that the principal, or that user, has. */
  async delete(memoryIds: readonly string[], userId?: string): Promise<void> {
    await this.#engine.transaction((db) => this.#changes.delete(db, memoryIds, userId));
  }

  /** Every topic that is used, in the order of the alphabet. */
  async topics(userId?: string): Promise<string[]> {
    const rows = await this.#engine.db
      .selectFrom("memory_topics")
      .innerJoin("memories", "memories.memory_id", "memory_topics.memory_id")
      .select("topic")
      .distinct()
      .where((eb) => this.#wanted(eb, userId === undefined ? {} : { userId }))
      .orderBy("topic")
      .limit(mostTopics)
      .execute();
    return rows.map(({ topic }) => topic);
  }

  /** Users of whom something is remembered, the last changed first. */
  async stats(
    filter: { userId?: string },
    page: Pick<MemoryPage, "limit" | "page">,
  ): Promise<{ stats: MemoryStats[]; total: number }> {
    const { db } = this.#engine;
    const users = db
      .selectFrom("memories")
      .where((eb) => this.#wanted(eb, filter))
      .groupBy("user_id");
    const rows = await users
      .select((eb) => [
        "user_id",
        eb.fn.countAll<number>().as("count"),
        eb.fn.max("memories.updated_at").as("last"),
      ])
      .orderBy("last", "desc")
      .orderBy("user_id")
      .limit(page.limit)
      .offset((page.page - 1) * page.limit)
      .execute();
    return {
      stats: rows.map((row) => ({ userId: row.user_id, count: row.count, updatedAt: row.last })),
      total: await count(db, users.select("user_id").limit(mostCounted + 1)),
    };
  }

  /**
   * Makes several changes to one user's memories: all of them, or none. Something that is remembered in the same words
   * already is not added twice.
   *
   * @param source - where the changes come from; stands with what they write
   * @throws {NotFoundError} when the user has no such memory, or the run that they come from was deleted
   */
  async apply(
    userId: string,
    operations: readonly MemoryOperation[],
    source: MemorySource = {},
  ): Promise<MemoryChange[]> {
    this.#refuseOthers(userId);
    return this.#engine.transaction(async (db) => {
      if (source.runId !== undefined) await holdRun(this.#engine, db, source.runId);
      const changes: MemoryChange[] = [];
      for (const operation of operations) {
        changes.push(await this.#changes.apply(db, userId, operation, source));
      }
      return changes;
    });
  }

  /**
   * Puts other memories in the place of a user's.
   *
   * @throws {ConflictError} and nothing is changed, where one of the old ones was changed or deleted since it was read
   */
  async replace(
    userId: string,
    old: readonly StoredMemory[],
    by: readonly MemoryText[],
  ): Promise<StoredMemory[]> {
    this.#refuseOthers(userId);
    const times = new Map(old.map(({ memoryId, updatedAt }) => [memoryId, updatedAt]));
    return this.#engine.transaction(async (db) => {
      const gone = await db
        .deleteFrom("memories")
        .where("user_id", "=", userId)
        .where("memory_id", "in", [...times.keys()])
        .returning(["memory_id", "updated_at"])
        .execute();
      if (gone.filter((row) => times.get(row.memory_id) === row.updated_at).length < times.size) {
        throw new ConflictError("The memories were changed meanwhile, and stay as they are. Try again.");
      }
      await this.#changes.deleteTopics(db, [...times.keys()]);
      const stored: StoredMemory[] = [];
      for (const text of by) stored.push(await insertMemory(db, { userId, ...text, at: this.#now() }));
      return stored;
    });
  }

  /**
   * What to tell a model of a user: the memories that have most to do with the message, and the latest, each once, as many
   * as fit. Their number costs nothing beyond that.
   *
   * @param budget - characters that they may take in a prompt
   * @returns oldest first
   */
  async relevant({
    userId,
    message,
    budget,
  }: {
    userId: string;
    message: string;
    budget: number;
  }): Promise<StoredMemory[]> {
    const { db, search } = this.#engine;
    const limit = mostThatFit(budget) + 1;
    const query = db
      .selectFrom("memories")
      .select(memoryColumns)
      .where((eb) => this.#wanted(eb, { userId }));
    const latest = await memoriesOf(db, await query.orderBy("updated_at", "desc").limit(limit).execute());
    const fitting = withinBudget([latest], budget);
    const words = tellingWords(message);
    if (words.length === 0 || (latest.length < limit && fitting.length === latest.length)) return fitting;
    const found = search
      .matches("memories", { ...this.#query(words, "any", userId), limit: mostRanked })
      .as("found");
    const telling = await query
      .innerJoin(found, (join) => join.onRef("found.id", "=", "memories.memory_seq"))
      .orderBy("found.rank")
      .orderBy("updated_at", "desc")
      .limit(limit)
      .execute();
    return withinBudget([await memoriesOf(db, telling), latest], budget);
  }

  #wanted(eb: ExpressionBuilder<Tables, "memories">, { userId, agentId, topics = [] }: MemoryFilter) {
    return eb.and([
      this.#scope.memories(eb),
      ...(userId === undefined ? [] : [eb("memories.user_id", "=", userId)]),
      ...(agentId === undefined ? [] : [eb("memories.agent_id", "=", agentId)]),
      ...topics.map((topic) =>
        eb.exists(
          eb
            .selectFrom("memory_topics")
            .select("memory_topics.topic")
            .whereRef("memory_topics.memory_id", "=", "memories.memory_id")
            .where("memory_topics.topic", "=", topic),
        ),
      ),
    ]);
  }

  /** A search among what the principal may see: the user's name is part of it, so that it costs what that user has. */
  #query(words: readonly string[], match: WordQuery["match"], userId: string | undefined): WordQuery {
    const owner = this.#scope.principal.unrestricted ? userId : this.#scope.principal.userId;
    return { words, match, ...(owner !== undefined && { owner: ownerWord(owner) }) };
  }

  #refuseOthers(userId: string): void {
    const { unrestricted, userId: own } = this.#scope.principal;
    if (!unrestricted && own !== userId) throw new NotFoundError(`User ${userId} not found`);
  }
}

/** How many rows a query gives. */
async function count(db: Kysely<Tables>, rows: AliasableExpression<unknown>): Promise<number> {
  const { n } = await db
    .selectFrom(rows.as("some"))
    .select((eb) => eb.fn.countAll<number>().as("n"))
    .executeTakeFirstOrThrow();
  return n;
}
