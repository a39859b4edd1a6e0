/**
 * Whether metrics and traces stay as quick as there are more of them: two databases with a year of runs, one with 10,000
 * and one with 1,000,000, each behind a server of ours, asked the same by turns over HTTP.
 *
 *   node --conditions=agentos-source bench/telemetry.ts [--engines postgres,sqlite] [--runs 1000000]
 *
 * It prints the median of each, small and large, and their ratio. It ends with status 1 when one is over 3.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { Agent, AgentOS, type Database, EchoModel, PostgresDb, SqliteDb } from "agentos-ts";
import pg from "pg";
import { startPostgres } from "../test/support/postgres.ts";
import { median } from "./stats.ts";

/** What the larger may cost, as a multiple of the smaller. */
const target = 3;

const asked = 60;
const warmUp = 15;

const { values } = parseArgs({
  options: {
    engines: { type: "string", default: "postgres,sqlite" },
    runs: { type: "string", default: "1000000" },
  },
});

interface Place {
  url: string;
  runs: number;
  close(): Promise<void>;
}

const users = (runs: number) => runs / 100;
const sessions = (runs: number) => runs / 10;

/** One question: its path, for the n-th time that it is asked. */
type Question = (n: number, place: Place) => string;

const questions: Record<string, Question> = {
  "metrics of the year": () => "/metrics",
  "metrics of a user": (n, { runs }) => `/metrics?user_id=user${(n * 7919) % users(runs)}`,
  "traces, newest first": () => "/traces",
  "traces of a user": (n, { runs }) => `/traces?user_id=user${(n * 7919) % users(runs)}`,
  "traces of a session": (n, { runs }) => `/traces?session_id=session${(n * 7919) % sessions(runs)}`,
  "traces of an agent": () => "/traces?agent_id=copilot",
  "traces with an error": () => "/traces?status=ERROR",
  "traces of a day": (n) => `/traces?start_time=2026-0${(n % 8) + 1}-10&end_time=2026-0${(n % 8) + 1}-11`,
  "the trace of a run": (n, { runs }) => `/traces?run_id=run_${(n * 7919) % runs}`,
  "one trace": (n, { runs }) => `/traces/trace${(n * 7919) % runs}`,
};

const start = Date.parse("2026-01-01T00:00:00Z");
const year = 365 * 86_400_000;
const spans = JSON.stringify([
  {
    span_id: "c546864f4ce3fac2",
    name: "invoke_agent copilot",
    kind: "INTERNAL",
    status: "OK",
    start,
    end: start + 1000,
    attributes: { "gen_ai.operation.name": "invoke_agent", filler: "words of an answer ".repeat(40) },
    scope: "agentos-ts",
  },
]);
const histogram = JSON.stringify(Array.from({ length: 120 }, (_, i) => [i, 7]).flat());

const tokens =
  "input_tokens, output_tokens, total_tokens, reasoning_tokens, cache_read_tokens, cache_write_tokens";

async function fillPostgres(url: string, runs: number): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query("SET search_path TO agentos; SET synchronous_commit TO off");
    const step = Math.floor(year / runs);
    await client.query(`
      INSERT INTO traces (run_id, trace_id, session_id, agent_id, user_id, name, status, start_time, end_time, duration_ms,
        total_spans, error_count, created_at, input, output, spans)
      SELECT 'run_' || n, 'trace' || n, 'session' || n % ${sessions(runs)}, 'copilot', 'user' || n % ${users(runs)},
        'invoke_agent copilot', CASE WHEN n % 500 = 0 THEN 'ERROR' ELSE 'OK' END, ${start} + n::bigint * ${step},
        ${start + 1000} + n::bigint * ${step}, 1000, 1, 0, ${start}, '"asked"', '"said"', '${spans.replaceAll("'", "''")}'
      FROM generate_series(0, ${runs - 1}) n`);
    await client.query(`
      INSERT INTO runs (run_id, session_id, agent_id, user_id, status, attempt, input, model, model_provider, created_at,
        updated_at, started_at, ended_at, metered)
      SELECT run_id, session_id, agent_id, user_id, 'completed', 1, '{}', 'one', 'OpenAI', start_time, start_time,
        start_time, end_time, 1 FROM traces`);
    // A row for each day and user that had a run in it, and one for each day.
    const day = `to_char(to_timestamp((${start} + n::bigint * ${step}) / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD')`;
    for (const user of ["''", `'user' || n % ${users(runs)}`]) {
      const group = `SELECT ${day} AS day, ${user} AS user_id, count(*) AS runs FROM generate_series(0, ${runs - 1}) n GROUP BY 1, 2`;
      await client.query(`
        INSERT INTO metric_days (day, user_id, runs, failed_runs, cancelled_runs, sessions, users, discarded_tokens, cost,
          unpriced_runs, created_at, updated_at, ${tokens})
        SELECT day, user_id, runs, 0, 0, runs, 1, 0, 0.1, 0, ${start}, ${start}, 9, 9, 9, 9, 9, 9 FROM (${group}) g`);
      await client.query(`
        INSERT INTO metric_models (day, user_id, model_id, model_provider, runs, cost, unpriced_runs, ${tokens})
        SELECT day, user_id, model, 'OpenAI', runs, 0.1, 0, 9, 9, 9, 9, 9, 9
        FROM (${group}) g, unnest(ARRAY['one', 'two', 'three']) model`);
    }
    await client.query(`
      INSERT INTO metric_latencies (day, agent_id, model_id, model_provider, durations, first_tokens)
      SELECT day, agent, model, 'OpenAI', '${histogram}', '${histogram}'
      FROM (SELECT DISTINCT day FROM metric_days) d, unnest(ARRAY['copilot', 'writer']) agent, unnest(ARRAY['one', 'two']) model`);
    await client.query("VACUUM ANALYZE");
  } finally {
    await client.end();
  }
}

function fillSqlite(path: string, runs: number): void {
  const db = new DatabaseSync(path);
  db.exec("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; BEGIN");
  const trace = db.prepare(
    `INSERT INTO traces (run_id, trace_id, session_id, agent_id, user_id, name, status, start_time, end_time, duration_ms,
       total_spans, error_count, created_at, input, output, spans)
     VALUES (?, ?, ?, 'copilot', ?, 'invoke_agent copilot', ?, ?, ?, 1000, 1, 0, ?, '"asked"', '"said"', ?)`,
  );
  const step = Math.floor(year / runs);
  const counts = new Map<string, number>();
  for (let n = 0; n < runs; n++) {
    const at = start + n * step;
    const user = `user${n % users(runs)}`;
    const status = n % 500 === 0 ? "ERROR" : "OK";
    trace.run(
      `run_${n}`,
      `trace${n}`,
      `session${n % sessions(runs)}`,
      user,
      status,
      at,
      at + 1000,
      at,
      spans,
    );
    const day = new Date(at).toISOString().slice(0, 10);
    for (const one of ["", user]) counts.set(`${day} ${one}`, (counts.get(`${day} ${one}`) ?? 0) + 1);
  }
  db.exec(`
    INSERT INTO runs (run_id, session_id, agent_id, user_id, status, attempt, input, model, model_provider, created_at,
      updated_at, started_at, ended_at, metered)
    SELECT run_id, session_id, agent_id, user_id, 'completed', 1, '{}', 'one', 'OpenAI', start_time, start_time,
      start_time, end_time, 1 FROM traces`);
  const dayRow = db.prepare(
    `INSERT INTO metric_days (day, user_id, runs, failed_runs, cancelled_runs, sessions, users, discarded_tokens, cost,
       unpriced_runs, created_at, updated_at, ${tokens})
     VALUES (?, ?, ?, 0, 0, 1, 1, 0, 0.1, 0, ${start}, ${start}, 9, 9, 9, 9, 9, 9)`,
  );
  const modelRow = db.prepare(
    `INSERT INTO metric_models (day, user_id, model_id, model_provider, runs, cost, unpriced_runs, ${tokens})
     VALUES (?, ?, ?, 'OpenAI', ?, 0.1, 0, 9, 9, 9, 9, 9, 9)`,
  );
  const latencyRow = db.prepare(
    `INSERT INTO metric_latencies (day, agent_id, model_id, model_provider, durations, first_tokens)
     VALUES (?, ?, ?, 'OpenAI', ?, ?)`,
  );
  for (const [key, count] of counts) {
    const [day = "", user = ""] = key.split(" ");
    dayRow.run(day, user, count);
    for (const model of ["one", "two", "three"]) modelRow.run(day, user, model, count);
    if (user !== "") continue;
    for (const agent of ["copilot", "writer"]) {
      for (const model of ["one", "two"]) latencyRow.run(day, agent, model, histogram, histogram);
    }
  }
  db.exec("COMMIT; ANALYZE");
  db.close();
}

async function serve(db: Database, runs: number): Promise<Place> {
  const os = new AgentOS({
    agents: [new Agent({ id: "copilot", model: new EchoModel(), db })],
    logLevel: "silent",
  });
  const { url } = await os.serve({ port: 0, banner: false, handleSignals: false });
  return { url, runs, close: () => os.close() };
}

async function ask(url: string): Promise<number> {
  const since = performance.now();
  const response = await fetch(url);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${url}: ${response.status} ${text}`);
  return performance.now() - since;
}

async function compare(engine: string, small: Place, large: Place): Promise<boolean> {
  console.log(
    `\n${engine}: ${small.runs.toLocaleString("en")} and ${large.runs.toLocaleString("en")} runs\n`,
  );
  console.log("| asked | small, ms | large, ms | ratio |\n|---|---|---|---|");
  let met = true;
  for (const [name, question] of Object.entries(questions)) {
    const times: [number[], number[]] = [[], []];
    for (let n = 0; n < warmUp + asked; n++) {
      for (const [i, place] of [small, large].entries()) {
        const time = await ask(place.url + question(n, place));
        if (n >= warmUp) times[i]?.push(time);
      }
    }
    const [before, after] = [median(times[0]), median(times[1])];
    const ratio = after / before;
    met &&= ratio <= target;
    console.log(
      `| ${name} | ${before.toFixed(2)} | ${after.toFixed(2)} | ${ratio.toFixed(2)}${ratio <= target ? "" : " ✗"} |`,
    );
  }
  return met;
}

const sizes = [Number(values.runs) / 100, Number(values.runs)];

async function onPostgres(): Promise<boolean> {
  const server = await startPostgres();
  try {
    const places: Place[] = [];
    for (const runs of sizes) {
      const url = await server.createDatabase(`telemetry_${runs}`);
      const db = new PostgresDb({ url });
      await db.open();
      await fillPostgres(url, runs);
      places.push(await serve(db, runs));
    }
    const [small, large] = places as [Place, Place];
    const met = await compare("PostgreSQL", small, large);
    for (const place of places) await place.close();
    return met;
  } finally {
    await server.stop();
  }
}

async function onSqlite(): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "agentos-bench-"));
  try {
    const places: Place[] = [];
    for (const runs of sizes) {
      const path = join(folder, `${runs}.db`);
      const empty = new SqliteDb({ path });
      await empty.open();
      await empty.close();
      fillSqlite(path, runs);
      places.push(await serve(new SqliteDb({ path }), runs));
    }
    const [small, large] = places as [Place, Place];
    const met = await compare("SQLite", small, large);
    for (const place of places) await place.close();
    return met;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const engines = values.engines.split(",");
let met = true;
if (engines.includes("postgres")) met = (await onPostgres()) && met;
if (engines.includes("sqlite")) met = (await onSqlite()) && met;
process.exit(met ? 0 : 1);
