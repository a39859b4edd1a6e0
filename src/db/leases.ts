import type { Kysely, Selectable } from "kysely";
import { ServerStoppedError } from "../errors.ts";
import { fold } from "../events/fold.ts";
import type { JsonObject } from "../events/json.ts";
import type { RunEventBody } from "../events/run-events.ts";
import type { Engine } from "./engine.ts";
import { runOf, snapshotColumns } from "./queries/rows.ts";
import type { Tables } from "./schema.ts";

/** Runs that are ended in one transaction. */
const batch = 50;

/** Which processes are alive, and what becomes of the runs of those that are not. All times are the database's. */
export class Leases {
  readonly #engine: Pick<Engine, "transaction" | "now" | "lockedByNobody">;

  constructor(engine: Pick<Engine, "transaction" | "now" | "lockedByNobody">) {
    this.#engine = engine;
  }

  /**
   * Says that a process is alive.
   *
   * @param forMilliseconds - how long it counts as alive from now on
   */
  async beat(nodeId: string, forMilliseconds: number): Promise<void> {
    const { now } = this.#engine;
    await this.#engine.transaction(async (db) => {
      await db
        .insertInto("nodes")
        .values((eb) => ({ node_id: nodeId, lease_until: eb(now, "+", forMilliseconds) }))
        .onConflict((conflict) =>
          conflict.column("node_id").doUpdateSet((eb) => ({ lease_until: eb.ref("excluded.lease_until") })),
        )
        .execute();
    });
  }

  /** Says that a process has stopped, and has no runs any more. */
  async release(nodeId: string): Promise<void> {
    await this.#engine.transaction(async (db) => {
      await db.deleteFrom("nodes").where("node_id", "=", nodeId).execute();
    });
  }

  /**
   * Ends the runs of processes that are no longer alive, as `error`: nobody else can go on with them.
   *
   * @returns their ids
   */
  async sweep(): Promise<string[]> {
    const ended: string[] = [];
    for (let found = batch; found === batch; ) {
      found = await this.#engine.transaction(async (db) => {
        const rows = await this.#engine.lockedByNobody(this.#orphans(db)).execute();
        for (const row of rows) {
          await endOrphan(db, row);
          ended.push(row.run_id);
        }
        return rows.length;
      });
    }
    await this.#engine.transaction(async (db) => {
      await db.deleteFrom("nodes").where("lease_until", "<", this.#engine.now).execute();
    });
    return ended;
  }

  #orphans(db: Kysely<Tables>) {
    return db
      .selectFrom("runs")
      .selectAll("runs")
      .where("status", "in", ["pending", "running"])
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

/** The run's row becomes the fold of what is stored of its log, and of the event that ends it. */
async function endOrphan(db: Kysely<Tables>, row: Selectable<Tables["runs"]>): Promise<void> {
  const stretches = await db
    .selectFrom("run_events")
    .select(["first_index", "events"])
    .where("run_id", "=", row.run_id)
    .orderBy("first_index")
    .execute();
  const log = stretches.flatMap(({ first_index, events }) =>
    (JSON.parse(events) as RunEventBody[]).map((event, i) => ({ ...event, event_index: first_index + i })),
  );
  const before = fold(log);
  const stored = runOf(row, []);
  const reason = new ServerStoppedError();
  const index = (log.at(-1)?.event_index ?? -1) + 1;
  const at = Date.now();
  const end: RunEventBody = {
    event: "RunError",
    content: reason.message,
    error_type: reason.code,
    session_state: stored.session_state as JsonObject,
    metrics: { ...before.metrics, duration: (at - row.created_at) / 1000 },
  };
  const run = fold([...log, { ...end, event_index: index }]);
  const model = { model: run.model || row.model, model_provider: run.model_provider || row.model_provider };
  await db
    .updateTable("runs")
    .set({ ...snapshotColumns({ fold: { ...run, ...model }, ended: true, at }), attempt: row.attempt + 1 })
    .where("run_id", "=", row.run_id)
    .execute();
  await db
    .insertInto("run_events")
    .values({
      run_id: row.run_id,
      first_index: index,
      last_index: index,
      attempt: row.attempt + 1,
      events: JSON.stringify([{ created_at: Math.floor(at / 1000), ...end }]),
    })
    .execute();
}
