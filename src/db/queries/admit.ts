import type { Kysely } from "kysely";
import type { Engine } from "../engine.ts";
import type { Acceptance, Admission, IdempotencyKey, NewRun } from "../records.ts";
import type { Tables } from "../schema.ts";
import { giveTexts } from "../stores/session-texts.ts";
import { acceptParameters, claimSession, mediaParameters, newRunValues, storeMedia } from "./accept.ts";
import { isAdopted, sessionStart } from "./claimed.ts";
import { fullLimit } from "./room.ts";

/** Ends the transaction of a run that is refused, so that nothing of it is left. */
class Refused extends Error {
  readonly acceptance: Acceptance;
  constructor(acceptance: Acceptance) {
    super(acceptance.kind);
    this.acceptance = acceptance;
  }
}

/** Accepts a run on conditions: what is asked of its session and of its key is asked and answered in one transaction. */
export async function admitRun(engine: Engine, run: NewRun, admission: Admission): Promise<Acceptance> {
  try {
    return await engine.transaction((db) => admitted(engine, db, run, admission));
  } catch (error) {
    if (error instanceof Refused) return error.acceptance;
    throw error;
  }
}

async function admitted(
  engine: Engine,
  db: Kysely<Tables>,
  run: NewRun,
  { limits, ifBusy, key }: Admission,
): Promise<Acceptance> {
  if (key) await claimKey(db, run, key);
  const parameters = acceptParameters(run, limits);
  const value = <K extends keyof typeof parameters>(name: K) => parameters[name];
  const before = await engine
    .locked(db.selectFrom("sessions").select("user_id").where("session_id", "=", run.sessionId))
    .executeTakeFirst();
  // From here on the session's row is ours: who else runs in it is decided one after another.
  const claimed = await claimSession(db, value).executeTakeFirst();
  const session = sessionStart(run, claimed);
  if (!session) throw new Refused({ kind: "foreign" });
  const busy = ifBusy ? await underWay(db, run.sessionId) : [];
  if (ifBusy === "reject" && busy.length > 0) throw new Refused({ kind: "busy" });
  const full = run.background ? await fullLimit(db, run, limits) : undefined;
  if (full) throw new Refused({ kind: "full", of: full });
  if (isAdopted(before, claimed)) {
    await giveTexts(db, parameters.session_id, parameters.owner).execute();
  }
  await db.insertInto("runs").values(newRunValues(value)).execute();
  // In the order of their key: two runs that send the same files would else wait for each other.
  for (const file of run.media.toSorted((a, b) => (a.sha256 < b.sha256 ? -1 : 1))) {
    const columns = mediaParameters(run, file);
    for (const query of storeMedia(db, (name) => columns[name])) await query.execute();
  }
  const interrupted = await interrupt(
    engine,
    db,
    busy.flatMap(({ run_id, status }) => (status === "running" ? [run_id] : [])),
  );
  return { kind: "accepted", session, begun: run.begins, interrupted };
}

/** Marks runs to be cancelled. @returns the ids of those that had not ended or paused by then */
async function interrupt({ now }: Engine, db: Kysely<Tables>, runIds: readonly string[]): Promise<string[]> {
  if (runIds.length === 0) return [];
  const marked = await db
    .updateTable("runs")
    .set({ cancel_requested_at: now })
    .where("run_id", "in", runIds)
    .where("status", "=", "running")
    .returning("run_id")
    .execute();
  return marked.map(({ run_id }) => run_id);
}

/** @throws {Refused} when the key is taken. Who sends the same key at the same time waits for this transaction. */
async function claimKey(db: Kysely<Tables>, run: NewRun, { key, requestHash, keptFor }: IdempotencyKey) {
  const owner = run.userId ?? "";
  const claimed = await db
    .insertInto("idempotency_keys")
    .values({ owner, key, request_hash: requestHash, run_id: run.runId, created_at: run.createdAt })
    .onConflict((conflict) =>
      conflict
        .columns(["owner", "key"])
        .doUpdateSet((eb) => ({
          request_hash: eb.ref("excluded.request_hash"),
          run_id: eb.ref("excluded.run_id"),
          created_at: eb.ref("excluded.created_at"),
        }))
        .where("idempotency_keys.created_at", "<", run.createdAt - keptFor),
    )
    .returning("run_id")
    .executeTakeFirst();
  if (claimed) return;
  // A statement of its own: the first may have waited for a commit that it does not see.
  const known = await db
    .selectFrom("idempotency_keys")
    .select(["run_id", "request_hash"])
    .where("owner", "=", owner)
    .where("key", "=", key)
    .executeTakeFirstOrThrow();
  throw new Refused({
    kind: "repeated",
    runId: known.run_id,
    isSame: known.request_hash === requestHash,
  });
}

function underWay(db: Kysely<Tables>, sessionId: string) {
  return db
    .selectFrom("runs")
    .select(["run_id", "status"])
    .where("session_id", "=", sessionId)
    .where("status", "in", ["pending", "running"])
    .execute();
}
