import { setImmediate } from "node:timers/promises";
import { type Insertable, type Kysely, type Selectable, sql } from "kysely";
import { ConflictError, NotFoundError } from "../../errors.ts";
import { newId } from "../../events/ids.ts";
import type { Message } from "../../events/messages.ts";
import { type RunInput, type RunStatus, runStatuses } from "../../events/run.ts";
import type { Engine } from "../engine.ts";
import type { Tables } from "../schema.ts";
import { ownerWord } from "../search.ts";
import type { SessionRef } from "../sessions.ts";
import type { Scope } from "./scope.ts";
import { claimSession } from "./session-changes.ts";
import { putNameText } from "./session-texts.ts";

/** Which session is forked, and up to where. */
export interface ForkRequest extends SessionRef {
  /** The agent in whose name it is asked for: the session must be one of its. */
  agentId: string;
  /** The last run that is taken along; all where absent. */
  upToRunId?: string;
}

const notEnded: readonly RunStatus[] = ["pending", "running", "paused"];
const ended = runStatuses.filter((status) => !notEnded.includes(status));

/** Runs that are copied at a time. */
const runsAtOnce = 100;

/** Messages that are written at a time. */
const messagesAtOnce = 500;

type Session = Selectable<Tables["sessions"]>;
type Run = Selectable<Tables["runs"]>;

/**
 * Makes a new session of copies of a session's ended runs: what happens in the one is nothing to the other from then on.
 *
 * @returns the id of the new session
 * @throws {NotFoundError} when there is no such session or run
 * @throws {ConflictError} when the run up to which it goes has not ended
 */
export function forkSession(engine: Engine, scope: Scope, request: ForkRequest): Promise<string> {
  return engine.transaction(async (db) => {
    // Locked, so that it cannot be deleted, and its files with it, while it is copied.
    const source = await claimSession(engine, db, scope, request);
    if (!source || !(await isOfAgent(db, source, request.agentId))) {
      throw new NotFoundError(`Session with ID ${request.sessionId} not found`);
    }
    const last = request.upToRunId === undefined ? undefined : await lastRun(db, source, request.upToRunId);
    const fork = newId();
    const at = Date.now();
    // A summary may tell of runs that are not taken along: then the fork does without.
    const cut = last && { state: last.session_state, summary: null, compacted_until: null };
    await db
      .insertInto("sessions")
      .values({ ...source, ...cut, session_id: fork, created_at: at, updated_at: at })
      .execute();
    if (source.name !== null) {
      await putNameText(db, { sessionId: fork, userId: source.user_id ?? undefined, name: source.name });
    }
    const compactedUntil = await copyRuns(db, source, fork, last?.queue_seq);
    if (!cut && source.compacted_until !== null) {
      await db
        .updateTable("sessions")
        .set({ compacted_until: compactedUntil })
        .where("session_id", "=", fork)
        .execute();
    }
    return fork;
  });
}

async function isOfAgent(db: Kysely<Tables>, session: Session, agentId: string): Promise<boolean> {
  if (session.agent_id === agentId || session.agent_id === "") return true;
  const run = await db
    .selectFrom("runs")
    .select("run_id")
    .where("session_id", "=", session.session_id)
    .where("agent_id", "=", agentId)
    .limit(1)
    .executeTakeFirst();
  return run !== undefined;
}

async function lastRun(db: Kysely<Tables>, session: Session, runId: string) {
  const run = await db
    .selectFrom("runs")
    .select(["queue_seq", "status", "session_state"])
    .where("run_id", "=", runId)
    .where("session_id", "=", session.session_id)
    .executeTakeFirst();
  if (!run) throw new NotFoundError(`Run with ID ${runId} not found in session ${session.session_id}`);
  if (notEnded.includes(run.status as RunStatus)) {
    throw new ConflictError(`The run ${runId} is ${run.status}. A fork takes runs that have ended.`);
  }
  return run;
}

/** @returns the number of the copy of the last run that the summary tells; null where there is none */
async function copyRuns(
  db: Kysely<Tables>,
  source: Session,
  fork: string,
  last: number | undefined,
): Promise<number | null> {
  const ids = new Map<string, string>();
  let compactedUntil: number | null = null;
  for (let after = -1; ; ) {
    let query = db
      .selectFrom("runs")
      .selectAll()
      .where("session_id", "=", source.session_id)
      .where("status", "in", ended)
      .where("queue_seq", ">", after)
      .orderBy("queue_seq")
      .limit(runsAtOnce);
    if (last !== undefined) query = query.where("queue_seq", "<=", last);
    const runs = await query.execute();
    if (runs.length === 0) return compactedUntil;
    for (const run of runs) ids.set(run.run_id, `run_${newId()}`);
    const copies = await copyPage(db, source, fork, runs, ids);
    for (const run of runs) {
      if (run.queue_seq <= (source.compacted_until ?? -1)) {
        compactedUntil = copies.get(ids.get(run.run_id)!) ?? null;
      }
    }
    after = runs.at(-1)!.queue_seq;
    // SQLite answers at once: others would not get a turn until all was copied.
    await setImmediate();
  }
}

/** @returns the numbers of the copies, by their ids */
async function copyPage(
  db: Kysely<Tables>,
  source: Session,
  fork: string,
  runs: readonly Run[],
  ids: ReadonlyMap<string, string>,
): Promise<Map<string, number>> {
  const runIds = runs.map((run) => run.run_id);
  const media = await copyMedia(db, fork, runIds, ids);
  const copies = await db
    .insertInto("runs")
    .values(
      runs.map(({ queue_seq: _, ...run }): Insertable<Tables["runs"]> => {
        const input = withMedia(JSON.parse(run.input) as RunInput, media);
        const parent = run.parent_run_id && (ids.get(run.parent_run_id) ?? run.parent_run_id);
        return {
          ...run,
          run_id: ids.get(run.run_id)!,
          session_id: fork,
          parent_run_id: parent,
          node_id: null,
          attempt: 1,
          input: JSON.stringify(input),
          // The run that it is a copy of stands in the metrics, or will.
          metered: 1,
        };
      }),
    )
    .returning(["run_id", "queue_seq"])
    .execute();
  await copyMessages(db, runIds, ids, media);
  const own = runIds.map((id) => [id, ids.get(id)!] as const);
  const renamed = sql<string>`CASE run_id ${sql.join(
    own.map(([id, copy]) => sql`WHEN ${id} THEN ${copy}`),
    sql` `,
  )} END`;
  await db
    .insertInto("run_events")
    .columns(["run_id", "first_index", "last_index", "attempt", "events"])
    .expression((eb) =>
      eb
        .selectFrom("run_events")
        .select(renamed.as("run_id"))
        .select(["first_index", "last_index", sql<number>`1`.as("attempt"), "events"])
        .where("run_id", "in", runIds),
    )
    .execute();
  await db
    .insertInto("session_texts")
    .columns(["session_id", "run_id", "owner", "text"])
    .expression((eb) =>
      eb
        .selectFrom("session_texts")
        .select([sql<string>`CAST(${fork} AS text)`.as("session_id"), renamed.as("run_id")])
        .select([sql<string>`CAST(${ownerWord(source.user_id ?? undefined)} AS text)`.as("owner"), "text"])
        .where("session_id", "=", source.session_id)
        .where("run_id", "in", runIds),
    )
    .execute();
  return new Map(copies.map((copy) => [copy.run_id, copy.queue_seq]));
}

/** The same bytes under ids of their own. @returns the new ids by the old ones */
async function copyMedia(
  db: Kysely<Tables>,
  fork: string,
  runIds: readonly string[],
  ids: ReadonlyMap<string, string>,
): Promise<Map<string, string>> {
  const files = await db.selectFrom("run_media").selectAll().where("run_id", "in", runIds).execute();
  const media = new Map(files.map((file) => [file.media_id, newId()]));
  for (let i = 0; i < files.length; i += messagesAtOnce) {
    const copies = files.slice(i, i + messagesAtOnce).map((file) => ({
      ...file,
      media_id: media.get(file.media_id)!,
      run_id: ids.get(file.run_id)!,
      session_id: fork,
    }));
    await db.insertInto("run_media").values(copies).execute();
  }
  return media;
}

async function copyMessages(
  db: Kysely<Tables>,
  runIds: readonly string[],
  ids: ReadonlyMap<string, string>,
  media: ReadonlyMap<string, string>,
): Promise<void> {
  const rows = await db
    .selectFrom("messages")
    .selectAll()
    .where("run_id", "in", runIds)
    .orderBy("run_id")
    .orderBy("position")
    .execute();
  const copies = rows.map((row) => {
    const message = { ...withMedia(JSON.parse(row.message) as Message, media), id: newId() };
    return { ...row, run_id: ids.get(row.run_id)!, message: JSON.stringify(message) };
  });
  for (let i = 0; i < copies.length; i += messagesAtOnce) {
    await db
      .insertInto("messages")
      .values(copies.slice(i, i + messagesAtOnce))
      .execute();
  }
}

/** An input or a message that names the copies of its files. */
function withMedia<T extends Pick<Message, "files" | "images" | "audio">>(
  value: T,
  media: ReadonlyMap<string, string>,
): T {
  const renamed = { ...value };
  for (const kind of ["files", "images", "audio"] as const) {
    const references = value[kind];
    if (!references) continue;
    renamed[kind] = references.map((reference) => {
      const id = media.get(reference.id);
      return id === undefined ? reference : { ...reference, id, url: `/media/${id}` };
    });
  }
  return renamed;
}
