import type { Kysely, Selectable } from "kysely";
import { type AgentOSError, CrashedTooOftenError, RunCancelledError, ServerStoppedError } from "../errors.ts";
import type { Engine } from "./engine.ts";
import type { NamedRow } from "./queue.ts";
import type { Tables } from "./schema.ts";
import { ending } from "./stored-end.ts";

/** Runs that are looked for at once. */
const batch = 50;

/** How often the process of a run may be lost without a checkpoint in between: then the run is to blame. */
const mostCrashes = 3;

/** What became of the runs of processes that are no longer alive. */
export interface Swept {
  /** Runs that ended: as `error`, or as `cancelled` where that was asked for. */
  ended: NamedRow[];
  /** Background runs that wait for another process now. */
  requeued: NamedRow[];
  /** Runs that should have ended and did not. They are tried again with the next sweep. */
  failed: { run: NamedRow; error: unknown }[];
}

/** Which processes are alive, and what becomes of the runs of those that are not. All times are the database's. */
export class Leases {
  readonly #engine: Pick<Engine, "transaction" | "now" | "locked" | "lockedByNobody" | "ended">;
  readonly #onAlive: ((processes: number) => void) | undefined;

  /** @param onAlive - told after each sign of life how many processes are alive, the one that gave it among them */
  constructor(
    engine: Pick<Engine, "transaction" | "now" | "locked" | "lockedByNobody" | "ended">,
    onAlive?: (processes: number) => void,
  ) {
    this.#engine = engine;
    this.#onAlive = onAlive;
  }

  /**
   * Says that a process is alive.
   *
   * @param forMilliseconds - how long it counts as alive from now on
   */
  async beat(nodeId: string, forMilliseconds: number): Promise<void> {
    const { now } = this.#engine;
    const alive = await this.#engine.transaction(async (db) => {
      await db
        .insertInto("nodes")
        .values((eb) => ({ node_id: nodeId, lease_until: eb(now, "+", forMilliseconds) }))
        .onConflict((conflict) =>
          conflict.column("node_id").doUpdateSet((eb) => ({ lease_until: eb.ref("excluded.lease_until") })),
        )
        .execute();
      return db
        .selectFrom("nodes")
        .select((eb) => eb.fn.countAll<number>().as("processes"))
        .where("lease_until", ">=", now)
        .executeTakeFirstOrThrow();
    });
    this.#onAlive?.(alive.processes);
  }

  /** Says that a process has stopped, and has no runs any more. */
  async release(nodeId: string): Promise<void> {
    await this.#engine.transaction(async (db) => {
      await db.deleteFrom("nodes").where("node_id", "=", nodeId).execute();
    });
  }

  /** Puts the background runs of dead processes back into the queue, and ends their others. */
  async sweep(): Promise<Swept> {
    const swept: Swept = { ended: [], requeued: [], failed: [] };
    while (await this.#sweepBatch(swept));
    await this.#engine.transaction(async (db) => {
      await db.deleteFrom("nodes").where("lease_until", "<", this.#engine.now).execute();
    });
    return swept;
  }

  /** @returns whether there may be more */
  async #sweepBatch(swept: Swept): Promise<boolean> {
    const failed = swept.failed.map(({ run }) => run.run_id);
    const ending: NamedRow[] = [];
    const found = await this.#engine.transaction(async (db) => {
      const orphans =
        failed.length === 0 ? this.#orphans(db) : this.#orphans(db).where("run_id", "not in", failed);
      const rows = await this.#engine.lockedByNobody(orphans).execute();
      ending.length = 0;
      const requeued: NamedRow[] = [];
      for (const row of rows) {
        if (endOf(row)) ending.push(named(row));
        else {
          await this.#requeue(db, row);
          requeued.push(named(row));
        }
      }
      return { count: rows.length, requeued };
    });
    swept.requeued.push(...found.requeued);
    // Each by itself: one that cannot be ended, or whose log takes too long to read, must not keep the others back.
    for (const run of ending) {
      try {
        if (await this.#end(run.run_id)) swept.ended.push(run);
      } catch (error) {
        swept.failed.push({ run, error });
        // Looked for anew, so that a database that is away ends the sweep instead of failing each of them.
        return true;
      }
    }
    return found.count === batch;
  }

  /** @returns whether it was this that ended the run */
  #end(runId: string): Promise<boolean> {
    return ending(this.#engine, async (db, end) => {
      const orphan = this.#orphans(db).where("run_id", "=", runId);
      const row = await this.#engine.lockedByNobody(orphan).executeTakeFirst();
      const reason = row && endOf(row);
      if (reason) await end(row, reason);
      return reason !== undefined;
    });
  }

  async #requeue(db: Kysely<Tables>, row: Selectable<Tables["runs"]>): Promise<void> {
    await db
      .updateTable("runs")
      .set({
        status: "pending",
        node_id: null,
        attempt: row.attempt + 1,
        crashes: row.crashes + 1,
        available_at: this.#engine.now,
      })
      .where("run_id", "=", row.run_id)
      .execute();
  }

  #orphans(db: Kysely<Tables>) {
    return db
      .selectFrom("runs")
      .selectAll("runs")
      .where("status", "in", ["pending", "running"])
      .where("node_id", "is not", null)
      .where((eb) =>
        eb.not(
          eb.exists(
            eb
              .selectFrom("nodes")
              .select("nodes.node_id")
              .whereRef("nodes.node_id", "=", "runs.node_id")
              .where("nodes.lease_until", ">=", this.#engine.now),
          ),
        ),
      )
      .limit(batch);
  }
}

function named({ run_id, session_id, traceparent }: NamedRow): NamedRow {
  return { run_id, session_id, traceparent };
}

/** Why a run of a dead process ends; undefined where another process goes on with it. */
function endOf(row: Selectable<Tables["runs"]>): AgentOSError | undefined {
  if (row.cancel_requested_at !== null) return new RunCancelledError();
  if (row.background === 0) return new ServerStoppedError();
  return row.crashes + 1 < mostCrashes ? undefined : new CrashedTooOftenError(mostCrashes);
}
