import { isDeepStrictEqual } from "node:util";
import { fold, type RunEvent } from "agentos-ts";
import type { AskedRun, Reading } from "./load.ts";

/** A run as it is stored, with the columns that are looked at. */
export interface StoredRow {
  run_id: string;
  session_id: string;
  agent_id: string;
  background: number;
  status: string;
  queue_seq: number;
  attempt: number;
  crashes: number;
  input: string;
  content: string;
  reasoning_content: string;
  tools: string;
  metrics: string;
  session_state: string;
  error: string | null;
  waits: number;
  started_at: number | null;
  ended_at: number | null;
}

/** A stretch of a run's log. */
export interface StoredStretch {
  run_id: string;
  first_index: number;
  last_index: number;
  events: string;
}

/** A line that the tool of the app wrote. */
export interface EffectLine {
  run: string;
  call: string;
  phase: "begin" | "end";
  pid: number;
  at: number;
}

/** All that there is to look at once everything has come to rest. */
export interface Evidence {
  rows: readonly StoredRow[];
  stretches: readonly StoredStretch[];
  asked: readonly AskedRun[];
  readings: readonly Reading[];
  effects: readonly EffectLine[];
}

/** What was found. All lists are empty where the server kept its word. */
export interface Findings {
  /** Acknowledged runs that are gone or did not come to the end that they must. */
  lost: string[];
  /** Runs, events and answers that are there twice, or differ from what somebody was told. */
  doubled: string[];
  /** Tool calls that were made again although their result was stored. */
  repeated: string[];
  /** Runs of a session out of their order or side by side, logs with gaps, rows that are not the fold of their log. */
  wrong: string[];
  counts: {
    runs: number;
    events: number;
    takeovers: number;
    tools: number;
    begunTwice: number;
    /** Runs that ended as error because their server was lost three times without a checkpoint in between. */
    gaveUp: number;
    /** Runs that ended as error. */
    failed: number;
  };
}

const endOf: Record<string, string> = {
  RunCompleted: "completed",
  RunError: "error",
  RunCancelled: "cancelled",
};

type Logged = RunEvent & { event_index: number };

/** Holds what is stored against what clients were told, and against itself. */
export function examine({ rows, stretches, asked, readings, effects }: Evidence): Findings {
  const found: Findings = {
    lost: [],
    doubled: [],
    repeated: [],
    wrong: [],
    counts: { runs: rows.length, events: 0, takeovers: 0, tools: 0, begunTwice: 0, gaveUp: 0, failed: 0 },
  };
  const logs = new Map(rows.map((row) => [row.run_id, [] as Logged[]]));
  for (const { run_id, first_index, last_index, events } of stretches.toSorted(
    (a, b) => a.first_index - b.first_index,
  )) {
    const log = logs.get(run_id);
    if (!log) {
      found.wrong.push(`${run_id}: events of a run that is not there`);
      continue;
    }
    const parsed = JSON.parse(events) as RunEvent[];
    if (first_index !== log.length || last_index - first_index + 1 !== parsed.length) {
      found.wrong.push(
        `${run_id}: a stretch from ${first_index} to ${last_index} with ${parsed.length} events follows on ${log.length}`,
      );
    }
    for (const event of parsed) log.push({ ...event, event_index: log.length });
  }
  const byId = new Map(rows.map((row) => [row.run_id, row]));
  for (const row of rows) examineRun(row, logs.get(row.run_id)!, found);
  examineSessions(rows, found);
  examineEffects(byId, logs, effects, found);
  for (const run of asked) examineAsked(run, byId, found);
  examineTags(rows, found);
  for (const reading of readings) examineReading(reading, byId, logs, found);
  return found;
}

function examineRun(row: StoredRow, log: readonly Logged[], { wrong, lost, counts }: Findings): void {
  counts.events += log.length;
  counts.takeovers += log.filter(({ event }) => event === "RunRecovered").length;
  counts.tools += log.filter(({ event }) => event === "ToolCallCompleted").length;
  const ends = log.filter(({ event }) => event in endOf);
  const end = log.at(-1);
  if (ends.length !== 1 || !end || endOf[end.event] !== row.status) {
    wrong.push(`${row.run_id} is ${row.status} and ends with ${log.slice(-3).map(({ event }) => event)}`);
    return;
  }
  if (row.status === "error") counts.failed++;
  const folded = fold(log);
  const stored = {
    status: row.status,
    content: JSON.parse(row.content) as unknown,
    reasoning_content: JSON.parse(row.reasoning_content) as unknown,
    tools: JSON.parse(row.tools) as unknown,
    metrics: JSON.parse(row.metrics) as unknown,
    session_state: JSON.parse(row.session_state) as unknown,
  };
  for (const [field, value] of Object.entries(stored)) {
    const told: unknown = JSON.parse(JSON.stringify(folded[field as keyof typeof stored]));
    if (!isDeepStrictEqual(told, value)) {
      wrong.push(
        `${row.run_id}: ${field} is ${JSON.stringify(value)}, and its log tells ${JSON.stringify(told)}`,
      );
    }
  }
  if (row.background === 1 && row.status === "error") {
    // That is what the third loss of its server comes to.
    if (row.error === "crashed_too_often") counts.gaveUp++;
    else lost.push(`${row.run_id} ended as error: ${row.content} (${row.error})`);
  }
}

function examineSessions(rows: readonly StoredRow[], { wrong }: Findings): void {
  const sessions = Map.groupBy(
    rows.filter(({ waits }) => waits === 1),
    ({ session_id }) => session_id,
  );
  for (const runs of sessions.values()) {
    let before: StoredRow | undefined;
    for (const run of runs.toSorted((a, b) => a.queue_seq - b.queue_seq)) {
      if (before?.ended_at && run.started_at !== null && run.started_at < before.ended_at) {
        wrong.push(
          `${run.run_id} began ${before.ended_at - run.started_at} ms before ${before.run_id} of its session ended`,
        );
      }
      before = run;
    }
  }
}

function examineEffects(
  rows: ReadonlyMap<string, StoredRow>,
  logs: ReadonlyMap<string, readonly Logged[]>,
  effects: readonly EffectLine[],
  { repeated, wrong, counts }: Findings,
): void {
  const begun = new Map<string, number>();
  for (const { run, call, phase } of effects) {
    if (phase !== "begin") continue;
    const key = `${run} ${call}`;
    begun.set(key, (begun.get(key) ?? 0) + 1);
  }
  counts.begunTwice = [...begun.values()].filter((times) => times > 1).length;
  for (const [run, log] of logs) {
    const completed = new Set<string>();
    const started = new Map<string, number>();
    for (const event of log) {
      if (event.event === "ToolCallStarted") {
        const id = event.tool.tool_call_id;
        started.set(id, (started.get(id) ?? 0) + 1);
        if (completed.has(id))
          repeated.push(`${run}: the call ${id} began again after its result was stored`);
      }
      if (event.event === "ToolCallCompleted") completed.add(event.tool.tool_call_id);
    }
    if (rows.get(run)?.background !== 1) continue;
    for (const [key, times] of begun) {
      const [of, call] = key.split(" ") as [string, string];
      if (of === run && times > (started.get(call) ?? 0)) {
        wrong.push(
          `${run}: the call ${call} was made ${times} times, its log knows of ${started.get(call) ?? 0}`,
        );
      }
    }
  }
}

function examineAsked(
  { runId, background, answer, cancelled, tag }: AskedRun,
  rows: ReadonlyMap<string, StoredRow>,
  { lost, doubled }: Findings,
): void {
  const row = rows.get(runId);
  if (!row) return void lost.push(`${runId} (${tag}) was acknowledged and is not there`);
  if (background && row.status === "cancelled" && !cancelled) lost.push(`${runId} was cancelled by nobody`);
  if (!answer) return;
  const told = { status: answer.status, content: answer.content };
  const stored = { status: row.status, content: JSON.parse(row.content) as unknown };
  if (!isDeepStrictEqual(told, stored)) {
    doubled.push(`${runId}: answered ${JSON.stringify(told)}, stored ${JSON.stringify(stored)}`);
  }
}

/** One request makes one run, however often it was sent. */
function examineTags(rows: readonly StoredRow[], { doubled }: Findings): void {
  const tags = Map.groupBy(rows, ({ input }) => /tag-\d+/.exec(input)?.[0] ?? "");
  for (const [tag, runs] of tags) {
    if (tag !== "" && runs.length > 1) doubled.push(`${tag} made ${runs.map(({ run_id }) => run_id)}`);
  }
}

function examineReading(
  { runId, background, seen, end }: Reading,
  rows: ReadonlyMap<string, StoredRow>,
  logs: ReadonlyMap<string, readonly Logged[]>,
  { lost, doubled }: Findings,
): void {
  const row = rows.get(runId);
  const log = logs.get(runId);
  if (!row || !log) return void lost.push(`${runId} was streamed and is not there`);
  const last = log.at(-1)!;
  if (end !== undefined && end !== last.event) {
    doubled.push(`${runId}: a reader was told ${end}, the log ends with ${last.event}`);
  }
  // What a foreground run said last before its server was lost was sent, and may not be stored.
  const cut = !background && row.status !== "completed";
  const comparable = cut ? Math.min(seen.length, log.length - 1) : seen.length;
  for (let index = 0; index < comparable; index++) {
    const { agent_id, run_id, session_id, ...event } = JSON.parse(seen[index]!) as RunEvent;
    if (run_id !== runId || session_id !== row.session_id || agent_id !== row.agent_id) {
      doubled.push(`${runId}: event ${index} names another run`);
    }
    if (!isDeepStrictEqual(event, log[index])) {
      doubled.push(
        `${runId}: event ${index} was sent as ${seen[index]} and is stored as ${JSON.stringify(log[index])}`,
      );
      return;
    }
  }
}
