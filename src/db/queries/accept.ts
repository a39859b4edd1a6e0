import { type Kysely, type QueryCreator, sql } from "kysely";
import type { JsonObject } from "../../events/json.ts";
import { prepare } from "../prepared.ts";
import type { NewRun, SessionStart } from "../records.ts";
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
  background: number;
  node_id: string;
  input: string;
  metadata: string;
  model: string;
  model_provider: string;
}

/** A run's values as the queries below take them. */
export function acceptParameters(run: NewRun): AcceptParameters {
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
    background: run.background ? 1 : 0,
    node_id: run.nodeId,
    input: JSON.stringify(run.input),
    metadata: JSON.stringify(run.metadata),
    model: run.model,
    model_provider: run.modelProvider,
  };
}

type Value = <K extends keyof AcceptParameters>(key: K) => AcceptParameters[K];

/**
 * Makes the session, or finds it. One without an owner is adopted by the first run that names a user; one that belongs to
 * somebody else gives no row.
 */
export function claimSession(db: QueryCreator<Tables>, value: Value) {
  return db
    .insertInto("sessions")
    .values({
      session_id: value("session_id"),
      agent_id: value("agent_id"),
      user_id: value("user_id"),
      name: value("name"),
      named_by: "message",
      state: value("state"),
      metadata: null,
      summary: null,
      created_at: value("at"),
      updated_at: value("at"),
    })
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

/** What {@link claimSession} gives, with the owner that the session had before. */
export interface ClaimedSession {
  state: string;
  user_id: string | null;
  created_at: number;
  named_by: "message" | "model" | "user" | null;
  summary: string | null;
  compacted_until: number | null;
  owner_before: string | null;
}

/** The claimed session as a run finds it; undefined where it is somebody else's. */
export function sessionStart(run: NewRun, row: ClaimedSession | undefined): SessionStart | undefined {
  return (
    row && {
      isNew: row.created_at === run.createdAt,
      adopted: row.created_at !== run.createdAt && row.owner_before === null && row.user_id !== null,
      state: JSON.parse(row.state) as JsonObject,
      named: row.named_by !== "message",
      summary: row.summary,
      compactedUntil: row.compacted_until,
    }
  );
}

/** The columns of a new run, in the order of {@link newRunValues}. */
export const newRunColumns = [
  "run_id",
  "session_id",
  "agent_id",
  "user_id",
  "parent_run_id",
  "status",
  "background",
  "node_id",
  "attempt",
  "input",
  "metadata",
  "model",
  "model_provider",
  "created_at",
  "updated_at",
  "started_at",
] as const;

/** A new run's values. It begins at once, so it is `running` from the start. */
export function newRunValues(value: Value) {
  return {
    run_id: value("run_id"),
    session_id: value("session_id"),
    agent_id: value("agent_id"),
    user_id: value("user_id"),
    parent_run_id: value("parent_run_id"),
    status: "running",
    background: value("background"),
    node_id: value("node_id"),
    attempt: 1,
    input: value("input"),
    metadata: value("metadata"),
    model: value("model"),
    model_provider: value("model_provider"),
    created_at: value("at"),
    updated_at: value("at"),
    started_at: value("at"),
  };
}

/** Stores a file's bytes once, whoever sends them, and notes where they are used. */
export function mediaQueries(db: Kysely<Tables>) {
  return {
    bytes: prepare<{ sha256: string; size: number; bytes: Uint8Array }>()((value) =>
      db
        .insertInto("media")
        .values({ sha256: value("sha256"), size: value("size"), bytes: value("bytes") })
        .onConflict((conflict) => conflict.column("sha256").doUpdateSet({ size: sql.ref("excluded.size") })),
    ),
    use: prepare<{
      media_id: string;
      run_id: string;
      session_id: string;
      sha256: string;
      filename: string;
      mime_type: string;
    }>()((value) =>
      db.insertInto("run_media").values({
        media_id: value("media_id"),
        run_id: value("run_id"),
        session_id: value("session_id"),
        sha256: value("sha256"),
        filename: value("filename"),
        mime_type: value("mime_type"),
      }),
    ),
  };
}
