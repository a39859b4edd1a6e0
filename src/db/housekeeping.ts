import type { Engine } from "./engine.ts";
import { firstIdAt } from "./run-ids.ts";

/** Rows that are deleted in one transaction. */
const batch = 1000;

/** Deletes what is kept for a time only, in small transactions. */
export class Housekeeping {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * Deletes the logs of runs that ended some time ago. Their rows and messages stay.
   *
   * @param before - Unix time in milliseconds
   * @param signal - ends it between two transactions
   * @returns how many rows went
   */
  async sweepLogs(before: number, signal: AbortSignal): Promise<number> {
    let deleted = 0;
    // Ids of runs sort by the time at which they were made, so the oldest logs come first.
    for (let cursor: string | undefined = ""; cursor !== undefined && !signal.aborted; ) {
      const page = await this.#oldRuns(cursor, before);
      cursor = page.next;
      for (const runId of page.runIds) {
        for (let found = batch; found === batch && !signal.aborted; ) {
          found = await this.#deleteLog(runId);
          deleted += found;
        }
      }
    }
    return deleted;
  }

  /** Deletes idempotency keys that were made before a time, in Unix milliseconds. */
  async sweepKeys(before: number, signal: AbortSignal): Promise<void> {
    for (let found = batch; found === batch && !signal.aborted; ) {
      found = await this.#engine.transaction(async (db) => {
        const { numDeletedRows } = await db
          .deleteFrom("idempotency_keys")
          .where((eb) =>
            eb(
              eb.refTuple("owner", "key"),
              "in",
              eb
                .selectFrom("idempotency_keys as old")
                .select(["old.owner", "old.key"])
                .where("old.created_at", "<", before)
                .limit(batch)
                .$asTuple("owner", "key"),
            ),
          )
          .executeTakeFirst();
        return Number(numDeletedRows);
      });
    }
  }

  /** Some runs whose log is there still and old enough. */
  async #oldRuns(after: string, before: number): Promise<{ runIds: string[]; next: string | undefined }> {
    const rows = await this.#engine.db
      .selectFrom("run_events")
      .select("run_id")
      .distinct()
      .where("run_id", ">", after)
      .where("run_id", "<", firstIdAt(before))
      .orderBy("run_id")
      .limit(batch)
      .execute();
    if (rows.length === 0) return { runIds: [], next: undefined };
    const ended = await this.#engine.db
      .selectFrom("runs")
      .select("run_id")
      .where(
        "run_id",
        "in",
        rows.map((row) => row.run_id),
      )
      .where("ended_at", "<", before)
      .execute();
    return {
      runIds: ended.map((row) => row.run_id),
      next: rows.length === batch ? rows.at(-1)?.run_id : undefined,
    };
  }

  async #deleteLog(runId: string): Promise<number> {
    return this.#engine.transaction(async (db) => {
      const { numDeletedRows } = await db
        .deleteFrom("run_events")
        .where("run_id", "=", runId)
        .where("first_index", "in", (eb) =>
          eb
            .selectFrom("run_events as old")
            .select("old.first_index")
            .where("old.run_id", "=", runId)
            .orderBy("old.first_index")
            .limit(batch),
        )
        .executeTakeFirst();
      return Number(numDeletedRows);
    });
  }
}
