/**
 * Measures our server against the floor in one run, side by side, and holds it to its targets.
 *
 *   node bench/compare.ts [--rounds 3] [--engines sqlite,postgres] [--scenarios runs,stream,ttft,burst] [--quick]
 *                         [--json FILE] [--mock FILE] [--package]
 *
 * Ours is started as `npm start` starts it: from the sources, with Node's compile cache. With `--package` it is what
 * `npm run build` has made. Ends with status 1 when a target is missed.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type PostgresServer, startPostgres } from "../test/support/postgres.ts";
import { type Child, startChild } from "./children.ts";
import { type Figures, type LoadOptions, load, type Scenario } from "./load.ts";
import { type Engine, format, type Pair, type Round, rowsOf, tableOf } from "./report.ts";

const ENGINES: readonly Engine[] = ["sqlite", "postgres"];
const ORDER: readonly Scenario[] = ["runs", "stream", "ttft", "burst"];

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string" },
    engines: { type: "string", default: ENGINES.join() },
    scenarios: { type: "string", default: ORDER.join() },
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    mock: { type: "string" },
    package: { type: "boolean", default: false },
  },
});

const rounds = Number(flags.rounds ?? (flags.quick ? 1 : 3));
const engines = pick("engines", flags.engines, ENGINES);
const scenarios = pick("scenarios", flags.scenarios, ORDER);
const steps: Record<Scenario, Omit<LoadOptions, "url">> = flags.quick
  ? { runs: { seconds: 1.5 }, stream: { seconds: 1.5 }, ttft: { requests: 100 }, burst: { clients: 200 } }
  : { runs: { seconds: 4 }, stream: { seconds: 4 }, ttft: {}, burst: {} };
const warmUpSeconds = flags.quick ? 0.5 : 1.5;

function pick<T extends string>(flag: string, list: string, known: readonly T[]): T[] {
  const wanted = list.split(",").map((item) => item.trim());
  const strange = wanted.filter((item) => !(known as readonly string[]).includes(item));
  if (strange.length > 0) throw new Error(`--${flag}: ${strange.join()} is none of ${known.join()}`);
  return known.filter((item) => wanted.includes(item));
}

const dir = mkdtempSync(join(tmpdir(), "agentos-bench-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));

if (flags.package && !existsSync(new URL("../dist/index.js", import.meta.url))) {
  throw new Error("--package: there is no dist. Run `npm run build` first.");
}
/** How ours is started. */
const ours = { name: "ours", script: "server.ts", health: true, ...(flags.package && { args: [] }) };

/** Where our server keeps its data in one round: an empty database. */
async function databaseOf(engine: Engine, round: number, postgres: PostgresServer | undefined) {
  if (engine === "sqlite") return { AGENTOS_SQLITE_PATH: join(dir, `round-${round}.db`) };
  if (!postgres) throw new Error("PostgreSQL was not started");
  return { DATABASE_URL: await postgres.createDatabase(`round_${round}`) };
}

async function measure(scenario: Scenario, child: Child): Promise<Figures> {
  await sleep(200);
  const figures = await load(scenario, { ...steps[scenario], url: child.url });
  child.check();
  return figures;
}

async function warmUp(child: Child): Promise<void> {
  const options = { url: child.url, seconds: warmUpSeconds };
  const paced = { url: child.url, clients: 100, tokens: 50 };
  const warm = [await load("runs", options), await load("stream", options), await load("burst", paced)];
  child.check();
  for (const { scenario, errors, runs, errorKinds } of warm) {
    if (errors < runs) continue;
    throw new Error(`${child.name}: every run of ${scenario} fails: ${Object.keys(errorKinds).join("; ")}`);
  }
}

/**
 * Warms up what is not measured, the model and the load generator, so that the first round is like the others. What ours
 * compiles at a first start is there for the next ones then, as it is for users.
 */
async function warmUpRig(model: Child): Promise<void> {
  const env = envOf(model);
  const floor = await startChild({ name: "floor", script: "floor.ts", env, health: true });
  await warmUp(floor).finally(() => floor.stop());
  const database = { AGENTOS_SQLITE_PATH: join(dir, "first.db") };
  await (await startChild({ ...ours, env: { ...env, ...database } })).stop();
}

const envOf = (model: Child) => ({
  OPENAI_BASE_URL: `${model.url}/v1`,
  OPENAI_API_KEY: "bench",
  NODE_COMPILE_CACHE: join(dir, "compiled"),
});

async function measureRound(engine: Engine, round: number, database: object, model: Child): Promise<Round> {
  const env = envOf(model);
  const started: Child[] = [];
  try {
    const floor = await startChild({ name: "floor", script: "floor.ts", env, health: true });
    started.push(floor);
    const server = await startChild({ ...ours, env: { ...env, ...database } });
    started.push(server);
    await warmUp(floor);
    await warmUp(server);
    const measured: Round["load"] = {};
    for (const scenario of scenarios) {
      const pair = { floor: await measure(scenario, floor), ours: await measure(scenario, server) };
      measured[scenario] = pair;
      console.error(`${engine}, round ${round} of ${rounds}, ${scenario}: ${brief(scenario, pair)}`);
      model.check();
    }
    const startMs = { floor: floor.startMs, ours: server.startMs };
    const peakRss = { floor: floor.peakRss(), ours: server.peakRss() };
    return { engine, round, startMs, peakRss, load: measured };
  } finally {
    await Promise.all(started.map((child) => child.stop()));
  }
}

function brief(scenario: Scenario, { floor, ours }: Pair<Figures>): string {
  const key = scenario === "runs" ? "runsPerSecond" : scenario === "ttft" ? "ttftP50" : "chunksPerSecond";
  const unit = { runs: "runs/s", ttft: "ms", stream: "chunks/s", burst: "chunks/s" }[scenario];
  const errors = ours.errors > 0 ? `, ${ours.errors} errors ${JSON.stringify(ours.errorKinds)}` : "";
  return `floor ${format(floor[key])}, ours ${format(ours[key])} ${unit}${errors}`;
}

const script = flags.mock ? resolve(flags.mock) : "../test/support/mock-model.ts";
const model = await startChild({ name: "mock model", script, health: false });
const postgres = engines.includes("postgres") ? await startPostgres() : undefined;
const results: Round[] = [];
try {
  await warmUpRig(model);
  for (let round = 1; round <= rounds; round++) {
    for (const engine of engines) {
      results.push(await measureRound(engine, round, await databaseOf(engine, round, postgres), model));
    }
  }
} finally {
  await Promise.all([model.stop(), postgres?.stop()]);
}

const rows = engines.flatMap((engine) =>
  rowsOf(
    engine,
    results.filter((round) => round.engine === engine),
    flags.package && engine === "sqlite" ? 400 : 1000,
  ),
);
const machine = { node: process.version, cores: availableParallelism(), cpu: cpus()[0]?.model ?? "unknown" };
console.log(
  `Node ${machine.node}, ${machine.cores} cores (${machine.cpu}), rounds: ${rounds}${flags.quick ? ", quick" : ""}\n`,
);
console.log(tableOf(rows));
if (flags.json) {
  await mkdir(dirname(resolve(flags.json)), { recursive: true });
  const report = { date: new Date().toISOString(), machine, quick: flags.quick, rows, rounds: results };
  await writeFile(flags.json, `${JSON.stringify(report, null, 2)}\n`);
}
if (rows.some((row) => row.met === false)) process.exitCode = 1;
