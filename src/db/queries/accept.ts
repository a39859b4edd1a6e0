import { type InsertQueryBuilder, type InsertResult, type QueryCreator, sql } from "kysely";
import type { NewRun, QueueLimits, StoredMedia } from "../records.ts";
import type { Tables } from "../schema.ts";
import { ownerWord } from "../search.ts";

/** The columns of a run that is accepted. */
export interface AcceptParameters {
  session_id: string;
  agent_id: string;
  user_id: string | null;
  /** The word that stands for the user in the index of texts. */
  owner: string;
  /** What the session is called where it has no name yet. */
  name: string;
  state: string;
  at: number;
  run_id: string;
  parent_run_id: string | null;
  status: "pending" | "running";
  background: number;
  waits: number;
  node_id: string | null;
  attempt: number;
  /** See `takenBy` of a new run. */
  taken_by: string | null;
  request: string | null;
  forked_from_run_id: string | null;
  forked_from_message_index: number | null;
  regenerated_from: string | null;
  started_at: number | null;
  input: string;
  metadata: string;
  model: string;
  model_provider: string;
  traceparent: string | null;
  total_limit: number;
  user_limit: number;
  session_limit: number;
}

/** A run's values as the queries below take them. */
export function acceptParameters(run: NewRun, limits: QueueLimits): AcceptParameters {
  return {
    session_id: run.sessionId,
    agent_id: run.agentId,
    user_id: run.userId ?? null,
    owner: ownerWord(run.userId),
    name: sessionName(run.input.input_content),
    state: JSON.stringify(run.sessionState),
    at: run.createdAt,
    run_id: run.runId,
    parent_run_id: run.parentRunId ?? null,
    status: run.begins ? "running" : "pending",
    background: run.background ? 1 : 0,
    waits: run.waits ? 1 : 0,
    node_id: run.nodeId ?? null,
    attempt: run.begins ? 1 : 0,
    taken_by: run.takenBy ?? null,
    request: run.request,
    forked_from_run_id: run.lineage?.forked_from_run_id ?? null,
    forked_from_message_index: run.lineage?.forked_from_message_index ?? null,
    regenerated_from: run.lineage?.regenerated_from ?? null,
    started_at: run.begins ? run.createdAt : null,
    input: JSON.stringify(run.input),
    metadata: JSON.stringify(run.metadata),
    model: run.model,
    model_provider: run.modelProvider,
    traceparent: run.traceparent ?? null,
    total_limit: limits.total,
    user_limit: limits.user,
    session_limit: limits.session,
  };
}

export type Value = <K extends keyof AcceptParameters>(key: K) => AcceptParameters[K];

/** A new session's values. */
export function newSessionValues(value: Value) {
  return {
    session_id: value("session_id"),
    agent_id: value("agent_id"),
    user_id: value("user_id"),
    name: value("name"),
    named_by: "message" as const,
    state: value("state"),
    created_at: value("at"),
    updated_at: value("at"),
  };
}

/** Makes the session, or finds it: see {@link orClaim}. */
export function claimSession(db: QueryCreator<Tables>, value: Value) {
  return orClaim(db.insertInto("sessions").values(newSessionValues(value)));
}

/**
 * Finds the session where it is there already. One without an owner is adopted by the first run that names a user; one
 * that belongs to somebody else gives no row.
 */
export function orClaim(insert: InsertQueryBuilder<Tables, "sessions", InsertResult>) {
  return insert
    .onConflict((conflict) =>
      conflict
        .column("session_id")
        .doUpdateSet((eb) => ({
          user_id: eb.fn.coalesce("sessions.user_id", "excluded.user_id"),
          // A session that was made for no agent is the first one's that runs in it.
          agent_id: eb.fn.coalesce(sql<string>`nullif(sessions.agent_id, '')`, "excluded.agent_id"),
          name: eb.fn.coalesce("sessions.name", "excluded.name"),
          named_by: eb.fn.coalesce("sessions.named_by", "excluded.named_by"),
          updated_at: eb.ref("excluded.updated_at"),
        }))
        .where((eb) =>
          eb.or([
            eb("sessions.user_id", "is", null),
            eb(eb.ref("sessions.user_id"), "=", eb.ref("excluded.user_id")),
          ]),
        ),
    )
    .returning([
      "sessions.state as state",
      "sessions.user_id as user_id",
      "sessions.created_at as created_at",
      "sessions.named_by as named_by",
      "sessions.summary as summary",
      "sessions.compacted_until as compacted_until",
    ]);
}

/** Characters of a name that is made of a message. */
const nameLength = 100;

/** A session's name, until it gets a better one: how its first message begins. */
function sessionName(message: string): string {
  const line = message.replace(/[\s\u0000-\u001f\u007f]+/g, " ").trim();
  return (line.length > nameLength ? `${line.slice(0, nameLength - 1)}…` : line).toWellFormed();
}

/** A new run's values. */
export function newRunValues(value: Value) {
  return {
    run_id: value("run_id"),
    session_id: value("session_id"),
    agent_id: value("agent_id"),
    user_id: value("user_id"),
    parent_run_id: value("parent_run_id"),
    status: value("status"),
    background: value("background"),
    waits: value("waits"),
    node_id: value("node_id"),
    attempt: value("attempt"),
    request: value("request"),
    forked_from_run_id: value("forked_from_run_id"),
    forked_from_message_index: value("forked_from_message_index"),
    regenerated_from: value("regenerated_from"),
    input: value("input"),
    metadata: value("metadata"),
    model: value("model"),
    model_provider: value("model_provider"),
    traceparent: value("traceparent"),
    created_at: value("at"),
    updated_at: value("at"),
    started_at: value("started_at"),
  };
}

/** A file of a run, as the columns of the two tables that hold it. */
export interface MediaParameters {
  sha256: string;
  size: number;
  bytes: Uint8Array;
  media_id: string;
  run_id: string;
  session_id: string;
  filename: string;
  mime_type: string;
}

/** A file's values as the queries below take them. */
export function mediaParameters(run: NewRun, file: StoredMedia): MediaParameters {
  return {
    sha256: file.sha256,
    size: file.bytes.length,
    bytes: file.bytes,
    media_id: file.mediaId,
    run_id: run.runId,
    session_id: run.sessionId,
    filename: file.filename,
    mime_type: file.mimeType,
  };
}

/** Stores a file's bytes once, whoever sends them, and notes where they are used: two statements, in this order. */
export function storeMedia(
  db: QueryCreator<Tables>,
  value: <K extends keyof MediaParameters>(key: K) => MediaParameters[K],
) {
  return [
    db
      .insertInto("media")
      .values({ sha256: value("sha256"), size: value("size"), bytes: value("bytes") })
      .onConflict((conflict) => conflict.column("sha256").doUpdateSet({ size: sql.ref("excluded.size") })),
    db.insertInto("run_media").values({
      media_id: value("media_id"),
      run_id: value("run_id"),
      session_id: value("session_id"),
      sha256: value("sha256"),
      filename: value("filename"),
      mime_type: value("mime_type"),
    }),
  ] as const;
}
