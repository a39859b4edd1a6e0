import type { Kysely } from "kysely";
import type { RunEventBody } from "../../events/run-events.ts";
import type { Tables } from "../schema.ts";

/** All that is stored of a run's log, in order. */
export async function storedLog(
  db: Kysely<Tables>,
  runId: string,
): Promise<(RunEventBody & { event_index: number })[]> {
  const stretches = await db
    .selectFrom("run_events")
    .select(["first_index", "events"])
    .where("run_id", "=", runId)
    .orderBy("first_index")
    .execute();
  return stretches.flatMap(({ first_index, events }) =>
    (JSON.parse(events) as RunEventBody[]).map((event, i) => ({ ...event, event_index: first_index + i })),
  );
}

/** Adds one event to the log of a run that no process is at. Stands inside the transaction that changes the run's row. */
export async function addEvent(
  db: Kysely<Tables>,
  event: RunEventBody,
  place: { runId: string; index: number; attempt: number; at: number },
): Promise<void> {
  await db
    .insertInto("run_events")
    .values({
      run_id: place.runId,
      first_index: place.index,
      last_index: place.index,
      attempt: place.attempt,
      events: JSON.stringify([{ created_at: Math.floor(place.at / 1000), ...event }]),
    })
    .execute();
}
