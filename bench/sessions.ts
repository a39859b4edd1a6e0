/**
 * Whether lists, searches and reads of sessions stay as quick as there are more of them: two databases, one with a hundred
 * times as many sessions and runs as the other, each behind a server of ours, asked the same by turns over HTTP.
 *
 *   node --conditions=agentos-source bench/sessions.ts                       # both engines
 *   node --conditions=agentos-source bench/sessions.ts --engines sqlite
 *   node --conditions=agentos-source bench/sessions.ts --quick               # a tenth of the sessions
 *
 * It prints the median of each, small and large, and their ratio. It ends with status 1 when one is over 3.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Agent, AgentOS, type Database, EchoModel, PostgresDb, SqliteDb } from "agentos-ts";
import { startPostgres } from "../test/support/postgres.ts";
import { fillPostgres, fillSqlite, type Size, sessionId, userId, word } from "./session-rows.ts";
import { median } from "./stats.ts";

/** What the larger may cost, as a multiple of the smaller. */
const target = 3;

/** How often each is asked, after a few times to warm up. */
const asked = 150;
const warmUp = 30;

const { values } = parseArgs({
  options: {
    engines: { type: "string", default: "postgres,sqlite" },
    quick: { type: "boolean", default: false },
  },
});
const factor = values.quick ? 0.1 : 1;

interface Place {
  url: string;
  size: Size;
  close(): Promise<void>;
}

async function serve(db: Database, size: Size): Promise<Place> {
  const os = new AgentOS({
    agents: [new Agent({ id: "copilot", model: new EchoModel(), db })],
    logLevel: "silent",
  });
  const { url } = await os.serve({ port: 0, banner: false, handleSignals: false });
  return { url, size, close: () => os.close() };
}

/** One question: its path, for the n-th time that it is asked. */
type Question = (n: number, place: Place) => string;

/** Spreads over all that there is, the same way each time. */
const spread = (n: number, count: number): number => (n * 7919) % count;

const questions: Record<string, Question> = {
  "list, newest first": () => "/sessions",
  "list by last use": () => "/sessions?sort_by=updated_at",
  "list of a user": (n, { size }) => `/sessions?user_id=${userId(spread(n, size.users))}`,
  "list of an agent": () => "/sessions?component_id=copilot",
  "list of a user, by name": (n, { size }) =>
    `/sessions?user_id=${userId(spread(n, size.users))}&session_name=talk%201`,
  "search of a user, two words": (n, { size }) =>
    `/sessions?user_id=${userId(spread(n, size.users))}&search=${word(n % 7)}%20${word((n % 3) + 10)}`,
  "search of a user, a common word": (n, { size }) =>
    `/sessions?user_id=${userId(spread(n, size.users))}&search=${word(0)}`,
  "search of a user, three letters": (n, { size }) =>
    `/sessions?user_id=${userId(spread(n, size.users))}&search=${word(n % 50).slice(0, 3)}`,
  "search of all, a common word": (n) => `/sessions?search=${word(n % 3)}`,
  "search of all, one hit": (n, { size }) => `/sessions?search=unique${spread(n, size.runs) + 1}`,
  get: (n, { size }) => `/sessions/${sessionId(spread(n, size.sessions))}`,
  "runs of a session": (n, { size }) => `/sessions/${sessionId(spread(n, size.sessions))}/runs`,
  "run previews of a session": (n, { size }) =>
    `/sessions/${sessionId(spread(n, size.sessions))}/run-previews`,
};

async function ask(url: string): Promise<number> {
  const start = performance.now();
  const response = await fetch(url);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${url}: ${response.status} ${text}`);
  return performance.now() - start;
}

/** The cursor of a page further down. */
async function farCursor({ url }: Place): Promise<string> {
  let cursor = "";
  for (let page = 0; page < 8; page++) {
    const answer = (await (await fetch(`${url}/sessions?limit=10&cursor=${cursor}`)).json()) as {
      meta: { next_cursor: string };
    };
    cursor = answer.meta.next_cursor;
  }
  return cursor;
}

async function compare(engine: string, small: Place, large: Place): Promise<boolean> {
  const cursors = new Map([
    [small, await farCursor(small)],
    [large, await farCursor(large)],
  ]);
  const all: [string, Question][] = [
    ...Object.entries(questions),
    ["list, further down by cursor", (_, place) => `/sessions?cursor=${cursors.get(place)}`],
  ];
  console.log(`\n${engine}: ${describe(small)} and ${describe(large)}\n`);
  console.log("| asked | small, ms | large, ms | ratio |\n|---|---|---|---|");
  let met = true;
  for (const [name, question] of all) {
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

function describe({ size }: Place): string {
  const words = (count: number) => count.toLocaleString("en");
  return `${words(size.sessions)} sessions with ${words(size.runs)} runs`;
}

function sizeOf(sessions: number): Size {
  return { sessions, runs: sessions * 10, users: Math.max(1, sessions / 20) };
}

async function onPostgres(): Promise<boolean> {
  const server = await startPostgres();
  try {
    const places: Place[] = [];
    for (const size of [sizeOf(1_000 * factor), sizeOf(100_000 * factor)]) {
      const url = await server.createDatabase(`sessions_${size.sessions}`);
      const db = new PostgresDb({ url });
      await db.open();
      await fillPostgres(url, size);
      places.push(await serve(db, size));
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
    for (const size of [sizeOf(100), sizeOf(10_000 * factor)]) {
      const path = join(folder, `${size.sessions}.db`);
      const empty = new SqliteDb({ path });
      await empty.open();
      await empty.close();
      fillSqlite(path, size);
      places.push(await serve(new SqliteDb({ path }), size));
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
