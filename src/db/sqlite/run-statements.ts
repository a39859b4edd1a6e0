import { type Kysely, sql } from "kysely";
import { prepare } from "../prepared.ts";
import {
  type AcceptParameters,
  claimSession,
  type MediaParameters,
  newRunValues,
  storeMedia,
} from "../queries/accept.ts";
import { replaceRun } from "../queries/replace.ts";
import { roomColumns, roomFor } from "../queries/room.ts";
import type { SnapshotColumns } from "../queries/rows.ts";
import type { Tables } from "../schema.ts";
import { giveTexts } from "../stores/session-texts.ts";
import type { EventsRow, MessageRow, TextRow } from "./writes.ts";

/** The statements that write runs, each built once. */
export function runStatements(db: Kysely<Tables>) {
  return {
    owner: prepare<{ session_id: string }>()((value) =>
      db.selectFrom("sessions").select("user_id").where("session_id", "=", value("session_id")),
    ),
    session: prepare<AcceptParameters>()((value) => claimSession(db, value)),
    give: prepare<AcceptParameters>()((value) => giveTexts(db, value("session_id"), value("owner"))),
    room: prepare<AcceptParameters>()((value) => db.selectNoFrom((eb) => roomColumns(roomFor(eb, value)))),
    insert: prepare<AcceptParameters>()((value) => db.insertInto("runs").values(newRunValues(value))),
    media: [0, 1].map((i) => prepare<MediaParameters>()((value) => storeMedia(db, value)[i]!)),
    update: prepare<SnapshotColumns & { run_id: string; attempt: number }>()((value) =>
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
        .where("run_id", "=", value("run_id"))
        .where("attempt", "=", value("attempt"))
        .where(sql.ref("status"), "=", sql.lit("running"))
        .returning("run_id"),
    ),
    owned: prepare<{ run_id: string; attempt: number }>()((value) =>
      db
        .selectFrom("runs")
        .select("run_id")
        .where("run_id", "=", value("run_id"))
        .where("attempt", "=", value("attempt"))
        .where(sql.ref("status"), "=", sql.lit("running")),
    ),
    events: prepare<EventsRow>()((value) =>
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
    message: prepare<MessageRow>()((value) =>
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
    text: prepare<TextRow>()((value) =>
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
    state: prepare<{ session_id: string }>()((value) =>
      db.selectFrom("sessions").select("state").where("session_id", "=", value("session_id")),
    ),
    setState: prepare<{ session_id: string; state: string; at: number }>()((value) =>
      db
        .updateTable("sessions")
        .set({ state: value("state"), updated_at: value("at") })
        .where("session_id", "=", value("session_id")),
    ),
  };
}

/** What {@link runStatements} gives. */
export type RunStatements = ReturnType<typeof runStatements>;
