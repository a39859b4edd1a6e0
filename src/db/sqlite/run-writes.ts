import { type Kysely, sql } from "kysely";
import type { JsonObject } from "../../events/json.ts";
import { prepare } from "../prepared.ts";
import {
  type AcceptParameters,
  acceptParameters,
  claimSession,
  isAdopted,
  type MediaParameters,
  mediaParameters,
  newRunValues,
  sessionStart,
  storeMedia,
} from "../queries/accept.ts";
import { replaceRun } from "../queries/replace.ts";
import { fullIn, roomColumns, roomFor } from "../queries/room.ts";
import { type SnapshotColumns, snapshotColumns } from "../queries/rows.ts";
import type { Acceptance, LogWrite, NewRun, QueueLimits } from "../records.ts";
import type { Tables } from "../schema.ts";
import { changedState } from "../session-state.ts";
import { giveTexts } from "../stores/session-texts.ts";
import type { SqliteConnection } from "./connection.ts";

/** Statements that write runs. Each method expects to stand inside a transaction. */
export class SqliteRunWrites {
  readonly #connection: SqliteConnection;
  readonly #queries: ReturnType<typeof runQueries>;

  constructor(connection: SqliteConnection, db: Kysely<Tables>) {
    this.#connection = connection;
    this.#queries = runQueries(db);
  }

  accept(run: NewRun, limits: QueueLimits): Acceptance {
    const parameters = acceptParameters(run, limits);
    if (run.background) {
      const [room] = this.#connection.run(this.#queries.room, parameters);
      const full = fullIn(room);
      if (full) return { kind: "full", of: full };
    }
    const [before] = this.#connection.run(this.#queries.owner, { sessionId: run.sessionId });
    const [claimed] = this.#connection.run(this.#queries.session, parameters);
    const session = sessionStart(run, claimed);
    if (!session) return { kind: "foreign" };
    if (isAdopted(before, claimed)) this.#connection.run(this.#queries.give, parameters);
    const isTaken = run.takenBy !== undefined && before === undefined;
    this.#connection.run(this.#queries.insert, isTaken ? takenParameters(parameters) : parameters);
    for (const file of run.media) {
      for (const query of this.#queries.media) this.#connection.run(query, mediaParameters(run, file));
    }
    return { kind: "accepted", session, begun: run.begins || isTaken, interrupted: [] };
  }

  /** @returns whether the run is still the caller's; where it is not, nothing was written */
  append(write: LogWrite): boolean {
    const { runId, attempt } = write;
    const owned = write.row
      ? this.#connection.run(this.#queries.update, { runId, attempt, ...snapshotColumns(write.row) })
      : this.#connection.run(this.#queries.owned, { runId, attempt });
    if (owned.length === 0) return false;
    if (write.events.length > 0) {
      this.#connection.run(this.#queries.events, {
        run_id: runId,
        first_index: write.firstIndex,
        last_index: write.firstIndex + write.events.length - 1,
        attempt,
        events: `[${write.events.join(",")}]`,
      });
    }
    for (const [i, message] of write.messages.entries()) {
      this.#connection.run(this.#queries.message, {
        run_id: runId,
        position: write.firstPosition + i,
        role: message.role,
        message: JSON.stringify(message),
      });
    }
    if (write.stateChange) {
      const [session] = this.#connection.run(this.#queries.state, { sessionId: write.sessionId });
      const state = changedState(JSON.parse(session?.state ?? "{}") as JsonObject, write.stateChange);
      this.#connection.run(this.#queries.setState, {
        sessionId: write.sessionId,
        state: JSON.stringify(state),
        at: write.row?.at ?? Date.now(),
      });
    }
    if (write.replaces !== undefined) {
      this.#connection.run(this.#queries.replace, { first: write.replaces, second: runId });
    }
    if (write.text) {
      this.#connection.run(this.#queries.text, {
        session_id: write.sessionId,
        run_id: runId,
        owner: write.text.owner,
        text: write.text.text,
      });
    }
    return true;
  }
}

/** A background run that is begun as it is accepted. */
function takenParameters(parameters: AcceptParameters): AcceptParameters {
  const { taken_by: node_id, at } = parameters;
  return { ...parameters, status: "running", attempt: 1, node_id, started_at: at };
}

function runQueries(db: Kysely<Tables>) {
  return {
    owner: prepare<{ sessionId: string }>()((value) =>
      db.selectFrom("sessions").select("user_id").where("session_id", "=", value("sessionId")),
    ),
    session: prepare<AcceptParameters>()((value) => claimSession(db, value)),
    give: prepare<AcceptParameters>()((value) => giveTexts(db, value("session_id"), value("owner"))),
    room: prepare<AcceptParameters>()((value) => db.selectNoFrom((eb) => roomColumns(roomFor(eb, value)))),
    insert: prepare<AcceptParameters>()((value) => db.insertInto("runs").values(newRunValues(value))),
    media: [0, 1].map((i) => prepare<MediaParameters>()((value) => storeMedia(db, value)[i]!)),
    update: prepare<SnapshotColumns & { runId: string; attempt: number }>()((value) =>
      db
        .updateTable("runs")
        .set({
          status: value("status"),
          checkpoint_index: value("checkpoint_index"),
          content: value("content"),
          content_type: value("content_type"),
          reasoning_content: value("reasoning_content"),
          tools: value("tools"),
          requirements: value("requirements"),
          pause_id: value("pause_id"),
          checkpoint: value("checkpoint"),
          session_state: value("session_state"),
          metrics: value("metrics"),
          input_tokens: value("input_tokens"),
          output_tokens: value("output_tokens"),
          total_tokens: value("total_tokens"),
          reasoning_tokens: value("reasoning_tokens"),
          cache_read_tokens: value("cache_read_tokens"),
          cache_write_tokens: value("cache_write_tokens"),
          cost: value("cost"),
          error: value("error"),
          updated_at: value("updated_at"),
          ended_at: value("ended_at"),
          crashes: sql.lit(0),
        })
        .where("run_id", "=", value("runId"))
        .where("attempt", "=", value("attempt"))
        .where(sql.ref("status"), "=", sql.lit("running"))
        .returning("run_id"),
    ),
    owned: prepare<{ runId: string; attempt: number }>()((value) =>
      db
        .selectFrom("runs")
        .select("run_id")
        .where("run_id", "=", value("runId"))
        .where("attempt", "=", value("attempt"))
        .where(sql.ref("status"), "=", sql.lit("running")),
    ),
    events: prepare<{
      run_id: string;
      first_index: number;
      last_index: number;
      attempt: number;
      events: string;
    }>()((value) =>
      db
        .insertInto("run_events")
        .values({
          run_id: value("run_id"),
          first_index: value("first_index"),
          last_index: value("last_index"),
          attempt: value("attempt"),
          events: value("events"),
        })
        .onConflict((conflict) => conflict.doNothing()),
    ),
    message: prepare<{ run_id: string; position: number; role: string; message: string }>()((value) =>
      db
        .insertInto("messages")
        .values({
          run_id: value("run_id"),
          position: value("position"),
          role: value("role"),
          message: value("message"),
        })
        .onConflict((conflict) => conflict.doNothing()),
    ),
    text: prepare<{ session_id: string; run_id: string; owner: string; text: string }>()((value) =>
      db
        .insertInto("session_texts")
        .values({
          session_id: value("session_id"),
          run_id: value("run_id"),
          owner: value("owner"),
          text: value("text"),
        })
        .onConflict((conflict) => conflict.doNothing()),
    ),
    replace: prepare<{ first: string; second: string }>()((value) =>
      replaceRun(db, value("first"), value("second")),
    ),
    state: prepare<{ sessionId: string }>()((value) =>
      db.selectFrom("sessions").select("state").where("session_id", "=", value("sessionId")),
    ),
    setState: prepare<{ sessionId: string; state: string; at: number }>()((value) =>
      db
        .updateTable("sessions")
        .set({ state: value("state"), updated_at: value("at") })
        .where("session_id", "=", value("sessionId")),
    ),
  };
}
