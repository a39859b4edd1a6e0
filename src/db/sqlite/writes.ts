import type { PreparedQuery } from "../prepared.ts";
import {
  type AcceptParameters,
  acceptParameters,
  type MediaParameters,
  mediaParameters,
} from "../queries/accept.ts";
import { type ClaimedSession, sessionStartOf } from "../queries/claimed.ts";
import { type SnapshotColumns, snapshotColumns } from "../queries/rows.ts";
import type { Acceptance, LogWrite, NewRun, QueueLimits, StateChange } from "../records.ts";

/** Something to write. It is plain data, so that it can be sent to the thread that writes. */
export type Write = {
  [K in keyof Written]: { kind: K } & WriteOf[K];
}[keyof Written];

interface WriteOf {
  /** A run is accepted. */
  accept: { run: AcceptParameters; media: readonly MediaParameters[] };
  /** Logs grow. */
  append: { logs: readonly LogRows[] };
  /** A statement, once for each list of values. */
  query: { sql: string; values: readonly (readonly unknown[])[] };
  /** The words of so many texts are indexed. */
  index: { most: number };
}

/** What comes of each. */
export interface Written {
  accept: Admitted;
  /** The runs that are somebody else's by now: of them nothing was written. */
  append: readonly string[];
  /** The rows of the last time. */
  query: readonly unknown[];
  /** How many there were. */
  index: number;
}

/** A stretch of a log, as the rows of its table. */
export interface EventsRow {
  run_id: string;
  first_index: number;
  last_index: number;
  attempt: number;
  /** JSON of a list. */
  events: string;
}

/** A message of a run. */
export interface MessageRow {
  run_id: string;
  position: number;
  role: string;
  message: string;
}

/** What a session is found by. */
export interface TextRow {
  session_id: string;
  run_id: string;
  owner: string;
  text: string;
}

/** A write to a log, as rows. */
export interface LogRows {
  run_id: string;
  session_id: string;
  attempt: number;
  row?: SnapshotColumns;
  events?: EventsRow;
  messages: readonly MessageRow[];
  /** `change` is JSON of a {@link StateChange}: what tools made may be nested deeper than can be sent. */
  state?: { change: string; at: number };
  replaces?: string;
  text?: TextRow;
}

/** What became of a run that was to be accepted. */
export type Admitted =
  | { kind: "full"; of: keyof QueueLimits }
  | { kind: "foreign" }
  | { kind: "accepted"; session: ClaimedSession; taken: boolean };

/** Accepts a run. */
export function acceptWrite(run: NewRun, limits: QueueLimits): Write & { kind: "accept" } {
  return {
    kind: "accept",
    run: acceptParameters(run, limits),
    media: run.media.map((file) => mediaParameters(run, file)),
  };
}

/** What the run's caller is told of it. */
export function acceptanceOf(run: NewRun, admitted: Admitted): Acceptance {
  if (admitted.kind !== "accepted") return admitted;
  const { session, taken } = admitted;
  return {
    kind: "accepted",
    session: sessionStartOf(session, run.createdAt),
    begun: run.begins || taken,
    interrupted: [],
  };
}

/** Writes to logs. */
export function appendWrite(writes: readonly LogWrite[]): Write & { kind: "append" } {
  return { kind: "append", logs: writes.map(logRows) };
}

function logRows(write: LogWrite): LogRows {
  const { runId: run_id, sessionId: session_id, attempt, events, row, stateChange, text } = write;
  return {
    run_id,
    session_id,
    attempt,
    ...(row && { row: snapshotColumns(row) }),
    ...(events.length > 0 && {
      events: {
        run_id,
        first_index: write.firstIndex,
        last_index: write.firstIndex + events.length - 1,
        attempt,
        events: `[${events.join(",")}]`,
      },
    }),
    messages: write.messages.map((message, i) => ({
      run_id,
      position: write.firstPosition + i,
      role: message.role,
      message: JSON.stringify(message),
    })),
    ...(stateChange && { state: { change: JSON.stringify(stateChange), at: row?.at ?? Date.now() } }),
    ...(write.replaces !== undefined && { replaces: write.replaces }),
    ...(text && { text: { session_id, run_id, owner: text.owner, text: text.text } }),
  };
}

/** Runs a statement that was built once, for each of the parameters. */
export function queryWrite<TParameters>(
  query: PreparedQuery<TParameters, unknown>,
  parameters: readonly TParameters[],
): Write & { kind: "query" } {
  return { kind: "query", sql: query.sql, values: parameters.map((one) => query.values(one)) };
}
