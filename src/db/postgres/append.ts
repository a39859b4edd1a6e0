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

/** What a batch writes, each part into or by a table of its own. */
interface Batch {
  rows: Row[];
  /** Runs whose row is not written. */
  appends: LogWrite[];
  events: LogWrite[];
  messages: Said[];
  texts: LogWrite[];
}

const columnsOf: { [TPart in keyof Batch]: Column<Batch[TPart][number]>[] } = {
  rows: rowColumns,
  appends: appendColumns,
  events: eventColumns,
  messages: messageColumns,
  texts: textColumns,
};

const parts = Object.keys(columnsOf) as (keyof Batch)[];

/**
 * Makes the statements that add to the logs and rows of many runs at once, and give the ids of those runs that are still
 * the caller's. A statement has the parts that its batch needs: each costs, however little it finds to do.
 */
export function appendStatements(
  schema: string,
): (writes: readonly LogWrite[]) => { name: string; text: string; values: Buffer[] } {
  const texts = new Map<string, string>();
  return (writes) => {
    const batch = batchOf(writes);
    const needed = parts.filter((part) => batch[part].length > 0);
    const name = `append_${needed.join("_")}`;
    let text = texts.get(name);
    if (text === undefined) {
      text = appendText(schema, needed);
      texts.set(name, text);
    }
    return { name, text, values: needed.flatMap((part) => valuesOf(part, batch)) };
  };
}

function batchOf(writes: readonly LogWrite[]): Batch {
  return {
    // In the order of their key, so that two commits never wait for each other.
    rows: writes
      .filter((write) => write.row !== undefined)
      .map((write): Row => ({ ...write, columns: snapshotColumns(write.row!) }))
      .sort((a, b) => (a.runId < b.runId ? -1 : 1)),
    appends: writes.filter((write) => write.row === undefined),
    events: writes.filter((write) => write.events.length > 0),
    messages: writes.flatMap((write) =>
      write.messages.map((message, i): Said => ({ write, message, position: write.firstPosition + i })),
    ),
    texts: writes.filter((write) => write.text !== undefined),
  };
}

/** An array a column. */
function valuesOf<TPart extends keyof Batch>(part: TPart, batch: Batch): Buffer[] {
  const rows: readonly Batch[TPart][number][] = batch[part];
  return columnsOf[part].map(([, type, value]) => binaryArray(type, rows.map(value)));
}

/** The text of a statement of these parts. Its values are those of {@link valuesOf}, part by part. */
function appendText(schema: string, needed: readonly (keyof Batch)[]): string {
  const table = (name: string) => `"${schema.replaceAll('"', '""')}"."${name}"`;
  let parameters = 0;
  const arrays = Object.fromEntries(
    needed.map((part) => [part, columnsOf[part].map(([, type]) => `$${++parameters}::${type}[]`)]),
  ) as Partial<Record<keyof Batch, string[]>>;
  const given = (part: keyof Batch) =>
    `unnest(${arrays[part]!.join(", ")}) AS given(${namesOf(columnsOf[part])})`;
  const insertion = (part: "events" | "messages" | "texts", into: string) => `
  INSERT INTO ${table(into)} (${namesOf(columnsOf[part])})
  SELECT given.* FROM ${given(part)} JOIN owned USING (run_id) ON CONFLICT DO NOTHING`;

  const written: Record<keyof Batch, () => string> = {
    rows: () => `
  UPDATE ${table("runs")} runs SET ${snapshot.map(([name]) => `${name} = given.${name}`).join(", ")}, crashes = 0
  FROM ${given("rows")}
  WHERE runs.run_id = ANY (${arrays.rows![0]}) AND runs.run_id = given.run_id AND runs.attempt = given.attempt AND ${isRunning}
  RETURNING runs.run_id`,
    // FOR SHARE makes a takeover wait for this commit; without it an append under way would land after the takeover.
    appends: () => `
  SELECT runs.run_id FROM ${table("runs")} runs JOIN ${given("appends")} USING (run_id, attempt)
  WHERE runs.run_id = ANY (${arrays.appends![0]}) AND ${isRunning} ORDER BY runs.run_id FOR SHARE OF runs`,
    events: () => insertion("events", "run_events"),
    messages: () => insertion("messages", "messages"),
    texts: () => insertion("texts", "session_texts"),
  };
  const isOwner = (part: keyof Batch) => part === "rows" || part === "appends";
  const ctes = [
    ...needed.filter(isOwner).map((part) => `${part} AS (${written[part]()}\n)`),
    `owned AS (${needed
      .filter(isOwner)
      .map((part) => `SELECT run_id FROM ${part}`)
      .join(" UNION ALL ")})`,
    ...needed.filter((part) => !isOwner(part)).map((part) => `${part} AS (${written[part]()}\n)`),
  ];
  return `WITH ${ctes.join(", ")}\nSELECT run_id FROM owned`;
}

function namesOf(columns: readonly Column<never>[]): string {
  return columns.map(([name]) => name).join(", ");
}
