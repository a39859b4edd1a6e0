import type { Message } from "../../events/messages.ts";
import { type SnapshotColumns, snapshotColumns } from "../queries/rows.ts";
import type { LogWrite } from "../records.ts";
import { type ArrayType, binaryArray } from "./arrays.ts";

/** A column of a batch: its name, its PostgreSQL type, and its value for each row. */
type Column<TRow> = readonly [name: string, type: ArrayType, value: (row: TRow) => unknown];

interface Row extends LogWrite {
  columns: SnapshotColumns;
}

interface Said {
  write: LogWrite;
  message: Message;
  position: number;
}

const snapshotTypes = {
  status: "text",
  checkpoint_index: "int",
  content: "text",
  content_type: "text",
  reasoning_content: "text",
  tools: "text",
  requirements: "text",
  pause_id: "text",
  checkpoint: "text",
  session_state: "text",
  metrics: "text",
  input_tokens: "bigint",
  output_tokens: "bigint",
  total_tokens: "bigint",
  reasoning_tokens: "bigint",
  cache_read_tokens: "bigint",
  cache_write_tokens: "bigint",
  cost: "float8",
  error: "text",
  updated_at: "bigint",
  ended_at: "bigint",
} satisfies Record<keyof SnapshotColumns, ArrayType>;

const snapshot = Object.entries(snapshotTypes) as [keyof SnapshotColumns, ArrayType][];

const rowColumns: Column<Row>[] = [
  ["run_id", "text", (row) => row.runId],
  ["attempt", "int", (row) => row.attempt],
  ...snapshot.map(([name, type]): Column<Row> => [name, type, (row) => row.columns[name]]),
];

const appendColumns: Column<LogWrite>[] = [
  ["run_id", "text", (write) => write.runId],
  ["attempt", "int", (write) => write.attempt],
];

const eventColumns: Column<LogWrite>[] = [
  ["run_id", "text", (write) => write.runId],
  ["first_index", "int", (write) => write.firstIndex],
  ["last_index", "int", (write) => write.firstIndex + write.events.length - 1],
  ["attempt", "int", (write) => write.attempt],
  ["events", "text", (write) => `[${write.events.join(",")}]`],
];

const messageColumns: Column<Said>[] = [
  ["run_id", "text", ({ write }) => write.runId],
  ["position", "int", ({ position }) => position],
  ["role", "text", ({ message }) => message.role],
  ["message", "text", ({ message }) => JSON.stringify(message)],
];

const textColumns: Column<LogWrite>[] = [
  ["run_id", "text", (write) => write.runId],
  ["session_id", "text", (write) => write.sessionId],
  ["owner", "text", (write) => write.text!.owner],
  ["text", "text", (write) => write.text!.text],
];

/**
 * Says it so that PostgreSQL does not see that an index of the runs under way would do: that one is full of entries of runs
 * that have ended since the last vacuum, and would be read whole. The key is what leads to a run.
 */
const isRunning = "runs.status || '' = 'running'";

/**
 * The text of the statement that adds to the logs and rows of many runs at once, and gives the ids of those runs that are
 * still the caller's. Its values are those of {@link appendValues}.
 */
export function appendText(schema: string): string {
  const table = (name: string) => `"${schema.replaceAll('"', '""')}"."${name}"`;
  let parameters = 0;
  const [rowIds, appendIds] = [1, rowColumns.length + 1].map((parameter) => `$${parameter}::text[]`);
  const batch = <TRow>(alias: string, columns: readonly Column<TRow>[]) => {
    const arrays = columns.map(([, type]) => `$${++parameters}::${type}[]`).join(", ");
    return `unnest(${arrays}) AS ${alias}(${namesOf(columns)})`;
  };
  return `
WITH rows AS (
  SELECT * FROM ${batch("r", rowColumns)}
), appends AS (
  SELECT * FROM ${batch("a", appendColumns)}
), updated AS (
  UPDATE ${table("runs")} runs SET ${snapshot.map(([name]) => `${name} = r.${name}`).join(", ")}, crashes = 0
  FROM rows r WHERE runs.run_id = ANY (${rowIds}) AND runs.run_id = r.run_id AND runs.attempt = r.attempt AND ${isRunning}
  RETURNING runs.run_id
), locked AS (
  -- FOR SHARE makes a takeover wait for this commit; without it an append under way would land after the takeover.
  SELECT runs.run_id FROM ${table("runs")} runs JOIN appends a ON runs.run_id = a.run_id AND runs.attempt = a.attempt
  WHERE runs.run_id = ANY (${appendIds}) AND ${isRunning} ORDER BY runs.run_id FOR SHARE OF runs
), owned AS (
  SELECT run_id FROM updated UNION ALL SELECT run_id FROM locked
), logged AS (
  INSERT INTO ${table("run_events")} (${namesOf(eventColumns)})
  SELECT e.* FROM ${batch("e", eventColumns)} JOIN owned USING (run_id)
  ON CONFLICT DO NOTHING
), said AS (
  INSERT INTO ${table("messages")} (${namesOf(messageColumns)})
  SELECT m.* FROM ${batch("m", messageColumns)} JOIN owned USING (run_id)
  ON CONFLICT DO NOTHING
), found AS (
  INSERT INTO ${table("session_texts")} (${namesOf(textColumns)})
  SELECT t.* FROM ${batch("t", textColumns)} JOIN owned USING (run_id)
  ON CONFLICT DO NOTHING
)
SELECT run_id FROM owned`;
}

/** The values for {@link appendText}: an array a column. */
export function appendValues(writes: readonly LogWrite[]): Buffer[] {
  // In the order of their key, so that two commits never wait for each other.
  const rows = writes
    .filter((write) => write.row !== undefined)
    .map((write): Row => ({ ...write, columns: snapshotColumns(write.row!) }))
    .sort((a, b) => (a.runId < b.runId ? -1 : 1));
  const said = writes.flatMap((write) =>
    write.messages.map((message, i): Said => ({ write, message, position: write.firstPosition + i })),
  );
  return [
    ...arrays(rowColumns, rows),
    ...arrays(
      appendColumns,
      writes.filter((write) => write.row === undefined),
    ),
    ...arrays(
      eventColumns,
      writes.filter((write) => write.events.length > 0),
    ),
    ...arrays(messageColumns, said),
    ...arrays(
      textColumns,
      writes.filter((write) => write.text !== undefined),
    ),
  ];
}

function namesOf<TRow>(columns: readonly Column<TRow>[]): string {
  return columns.map(([name]) => name).join(", ");
}

function arrays<TRow>(columns: readonly Column<TRow>[], rows: readonly TRow[]): Buffer[] {
  return columns.map(([, type, value]) => binaryArray(type, rows.map(value)));
}
