/**
 * What background runs cost on PostgreSQL, against the floor in the same run: runs a second accepted and completed, the
 * time from a request to its run's end, streams that are stored before they are sent, commits and bytes of write-ahead log.
 *
 *   node bench/background.ts [--runs 3000] [--rounds 3]
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import pg from "pg";
import { Agent, request } from "undici";
import { startPostgres } from "../test/support/postgres.ts";
import { type Child, startChild } from "./children.ts";
import { load } from "./load.ts";
import { settled } from "./standing.ts";
import { quantile } from "./stats.ts";

const { values: flags } = parseArgs({
  options: { runs: { type: "string", default: "3000" }, rounds: { type: "string", default: "3" } },
});
const runs = Number(flags.runs);
const clients = 32;
const dispatcher = new Agent({ connections: clients, pipelining: 1 });

/** What one round measured. */
interface Measured {
  floorRuns: number;
  floorP50: number;
  accepted: number;
  completed: number;
  doneP50: number;
  foregroundChunks: number;
  backgroundChunks: number;
  commitsPerRun: number;
  walPerRun: number;
  walPerToken: number;
}

async function submit(url: string, client: number, i: number): Promise<string> {
  const { statusCode, body } = await request(`${url}/agents/copilot/runs`, {
    method: "POST",
    dispatcher,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      message: "Summarize this thread",
      background: true,
      session_id: `bg-${client}-${i}`,
      user_id: `user-${client}@example.com`,
    }),
  });
  const answer = (await body.json()) as { run_id: string };
  if (statusCode !== 202) throw new Error(`${statusCode}: ${JSON.stringify(answer)}`);
  return answer.run_id;
}

async function completed(db: pg.Client): Promise<number> {
  const { rows } = await db.query<{ count: string }>(
    "SELECT count(*) FROM agentos.runs WHERE background = 1 AND status = 'completed'",
  );
  return Number(rows[0]?.count);
}

/** All clients submit as fast as they can; it ends when the last run has. */
async function throughput(url: string, db: pg.Client) {
  const before = await settled(db);
  const done = await completed(db);
  const start = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      while (next < runs) await submit(url, client, next++);
    }),
  );
  const accepted = performance.now();
  // A count costs the database something too, so it is not asked for often.
  while ((await completed(db)) < done + runs) await sleep(100);
  const end = performance.now();
  const after = await settled(db);
  return {
    accepted: (runs / (accepted - start)) * 1000,
    completed: (runs / (end - start)) * 1000,
    commitsPerRun: (after.commits - before.commits) / runs,
    walPerRun: (after.wal - before.wal) / runs,
  };
}

/** From the request to the end of the run, as whoever follows it sees it. One client. */
async function submitToDone(url: string): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    const start = performance.now();
    const runId = await submit(url, 0, -1 - i);
    const { body } = await request(`${url}/agents/copilot/runs/${runId}/resume`, {
      method: "POST",
      dispatcher,
    });
    await body.text();
    times.push(performance.now() - start);
  }
  return quantile(Float64Array.from(times).sort(), 0.5);
}

async function round(floor: Child, ours: Child, db: pg.Client): Promise<Measured> {
  const { url } = ours;
  const floorLoad = await load("runs", { url: floor.url, seconds: 4 });
  const { accepted, completed: perSecond, commitsPerRun, walPerRun } = await throughput(url, db);
  const single = await load("runs", { url: floor.url, clients: 1, requests: 200 });
  const doneP50 = await submitToDone(url);
  const foreground = await load("stream", { url, seconds: 4 });
  const before = await settled(db);
  const background = await load("stream", { url, seconds: 4, background: true });
  const after = await settled(db);
  if (background.errors > 0) throw new Error(JSON.stringify(background.errorKinds));
  ours.check();
  return {
    floorRuns: floorLoad.runsPerSecond,
    floorP50: single.p50,
    accepted,
    completed: perSecond,
    doneP50,
    foregroundChunks: foreground.chunksPerSecond,
    backgroundChunks: background.chunksPerSecond,
    commitsPerRun,
    walPerRun,
    walPerToken: (after.wal - before.wal) / background.chunks,
  };
}

const model = await startChild({
  name: "mock model",
  script: "../test/support/mock-model.ts",
  health: false,
});
const postgres = await startPostgres();
const results: Measured[] = [];
try {
  const env = { OPENAI_BASE_URL: `${model.url}/v1`, OPENAI_API_KEY: "bench" };
  for (let i = 0; i < Number(flags.rounds); i++) {
    const database = await postgres.createDatabase(`background_${i}`);
    const floor = await startChild({ name: "floor", script: "floor.ts", env, health: true });
    const ours = await startChild({
      name: "ours",
      script: "server.ts",
      env: { ...env, DATABASE_URL: database },
      health: true,
    });
    const db = new pg.Client(database);
    await db.connect();
    await load("runs", { url: floor.url, seconds: 1.5 });
    await load("runs", { url: ours.url, seconds: 1.5 });
    const measured = await round(floor, ours, db);
    results.push(measured);
    console.error(
      JSON.stringify(measured, (_, value) =>
        typeof value === "number" ? Math.round(value * 100) / 100 : value,
      ),
    );
    await db.end();
    await Promise.all([floor.stop(), ours.stop()]);
  }
} finally {
  await dispatcher.close();
  await Promise.all([model.stop(), postgres.stop()]);
}

const median = (key: keyof Measured) => quantile(Float64Array.from(results, (one) => one[key]).sort(), 0.5);
const ratio = (a: keyof Measured, b: keyof Measured) =>
  quantile(Float64Array.from(results, (one) => one[a] / one[b]).sort(), 0.5);
console.log(`| what | measured | target |
|---|---|---|
| accepted runs/s against the floor's runs/s | ${ratio("accepted", "floorRuns").toFixed(3)} | |
| accepted and completed runs/s against the floor's | ${ratio("completed", "floorRuns").toFixed(3)} (${median("completed").toFixed(0)}/s) | ≥ 0.12 |
| submit → done, 1 client, p50 against the floor's request | ${ratio("doneP50", "floorP50").toFixed(2)} (${median("doneP50").toFixed(1)} ms) | ≤ 3 |
| background streams, chunks/s against foreground's | ${ratio("backgroundChunks", "foregroundChunks").toFixed(2)} (${median("backgroundChunks").toFixed(0)}/s) | ≥ 0.5, or 10,000/s |
| commits a run | ${median("commitsPerRun").toFixed(2)} | |
| bytes of write-ahead log a run | ${median("walPerRun").toFixed(0)} | |
| bytes of write-ahead log a token of a background stream | ${median("walPerToken").toFixed(0)} | |
`);
