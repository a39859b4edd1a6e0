/**
 * CPU a run: how many microseconds of CPU a run takes, of the server process and of PostgreSQL's. Unlike runs a second it
 * hardly depends on what else the machine does, so two versions can be told apart on a busy one.
 *
 *   node bench/cpu.ts [--engines sqlite,postgres] [--scenario runs|stream] [--rounds 5] [--requests 3000]
 *                     [--against OTHER/CHECKOUT] [--no-floor]
 *
 * With `--against`, the server of another checkout is measured by turns with this one's. Linux only.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { startPostgres } from "../test/support/postgres.ts";
import { type Child, startChild } from "./children.ts";
import { load, type Scenario } from "./load.ts";
import { cpuBelow, cpuOf, mainThreadOf } from "./processor.ts";
import { format } from "./report.ts";
import { median } from "./stats.ts";

const { values: flags } = parseArgs({
  options: {
    engines: { type: "string", default: "sqlite,postgres" },
    scenario: { type: "string", default: "runs" },
    rounds: { type: "string", default: "5" },
    requests: { type: "string" },
    session: { type: "string", default: "new" },
    against: { type: "string" },
    "no-floor": { type: "boolean", default: false },
  },
});
const scenario = flags.scenario as Scenario;
const rounds = Number(flags.rounds);
const requests = Number(flags.requests ?? (scenario === "runs" ? 3000 : 500));
const session = flags.session === "fixed" ? "fixed" : "new";
const engines = flags.engines.split(",");

interface Measured {
  name: string;
  child: Child;
  own: number[];
  mainThread: number[];
  database: number[];
  perSecond: number[];
}

const dir = mkdtempSync(join(tmpdir(), "agentos-cpu-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
const model = await startChild({
  name: "mock model",
  script: "../test/support/mock-model.ts",
  health: false,
});
const postgres = engines.includes("postgres") ? await startPostgres() : undefined;
const env = { OPENAI_BASE_URL: `${model.url}/v1`, OPENAI_API_KEY: "bench" };
const servers: Measured[] = [];
const add = async (name: string, script: string, more: Record<string, string> = {}) => {
  const child = await startChild({ name, script, env: { ...env, ...more }, health: true });
  servers.push({ name, child, own: [], mainThread: [], database: [], perSecond: [] });
};
try {
  if (!flags["no-floor"]) await add("floor", "floor.ts");
  const checkouts: [string, string][] = [["ours", "server.ts"]];
  if (flags.against) checkouts.unshift(["before", join(resolve(flags.against), "bench/server.ts")]);
  for (const engine of engines) {
    for (const [name, script] of checkouts) {
      const database =
        engine === "postgres"
          ? { DATABASE_URL: await postgres!.createDatabase(`cpu_${name}`) }
          : { AGENTOS_SQLITE_PATH: join(dir, `${name}.db`) };
      await add(`${engine}, ${name}`, script, database as Record<string, string>);
    }
  }
  for (const { child } of servers)
    await load(scenario, { url: child.url, requests: Math.ceil(requests / 2) });
  for (let round = 1; round <= rounds; round++) {
    for (const server of servers) await measure(server);
    console.error(`round ${round} of ${rounds}`);
  }
} finally {
  await Promise.all([...servers.map(({ child }) => child.stop()), model.stop(), postgres?.stop()]);
}

async function measure({ child, own, mainThread, database, perSecond }: Measured): Promise<void> {
  const before = cpuOf(child.pid);
  const mainBefore = mainThreadOf(child.pid);
  const databaseBefore = postgres ? cpuBelow(postgres.pid) : 0;
  const figures = await load(scenario, { url: child.url, requests, session, seconds: 600 });
  child.check();
  if (figures.errors > 0) throw new Error(`${child.name}: ${JSON.stringify(figures.errorKinds)}`);
  const count = scenario === "runs" ? figures.runs : figures.chunks;
  own.push((cpuOf(child.pid) - before) / count);
  mainThread.push((mainThreadOf(child.pid) - mainBefore) / count);
  if (postgres) database.push((cpuBelow(postgres.pid) - databaseBefore) / count);
  perSecond.push(scenario === "runs" ? figures.runsPerSecond : figures.chunksPerSecond);
}

const unit = scenario === "runs" ? "run" : "chunk";
console.log(`CPU µs a ${unit}, median of ${rounds} (least to most); ${unit}s/s of one noisy machine`);
const spread = (values: readonly number[]) =>
  `${format(median(values))} (${format(Math.min(...values))} to ${format(Math.max(...values))})`;
const ratio = (ours: readonly number[], before: readonly number[]) =>
  median(ours.map((value, round) => value / before[round]!)).toFixed(3);
for (const [i, server] of servers.entries()) {
  const before = servers[i - 1];
  if (!server.name.endsWith("ours") || !before?.name.endsWith("before")) continue;
  const ofDatabase = server.name.startsWith("postgres")
    ? `, PostgreSQL ${ratio(server.database, before.database)}`
    : "";
  console.log(
    `${server.name} ÷ before, median of the rounds' ratios: ${ratio(server.own, before.own)}, main thread ${ratio(server.mainThread, before.mainThread)}${ofDatabase}`,
  );
}
for (const { name, own, mainThread, database, perSecond } of servers) {
  const ofDatabase = name.startsWith("postgres") ? `  PostgreSQL ${spread(database)}` : "";
  console.log(
    `${name.padEnd(20)}  ${spread(own)}, main thread ${spread(mainThread)}${ofDatabase}  ${format(median(perSecond))} ${unit}s/s`,
  );
}
