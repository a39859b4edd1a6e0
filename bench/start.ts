/**
 * How long a start takes: from the start of the process to the first 200 of `/health`, of each way to start by turns.
 *
 *   node bench/start.ts [--rounds 9] [--engines sqlite,postgres] [--ways floor,sources,cached,package,package-cached]
 *                       [--against OTHER/CHECKOUT]
 *
 * `sources` is TypeScript read as it is, `package` what `npm run build` makes; `cached` has Node's compile cache filled, as
 * it is from the second start on. Each starts on an empty database, and once more on the one that is there then.
 * With `--against`, the sources of another checkout are started by turns with this one's.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type PostgresServer, startPostgres } from "../test/support/postgres.ts";
import { startChild } from "./children.ts";
import { median } from "./stats.ts";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "9" },
    engines: { type: "string", default: "sqlite,postgres" },
    ways: { type: "string", default: "floor,sources,cached,package,package-cached" },
    against: { type: "string" },
  },
});

/** One way to start. */
interface Way {
  name: string;
  script: string;
  /** Of the export condition under which `agentos-ts` is the sources. */
  sources: boolean;
  cached: boolean;
}

const ours = (name: string, sources: boolean, cached: boolean, script = "server.ts"): Way => ({
  name,
  script,
  sources,
  cached,
});
const known: Way[] = [
  { name: "floor", script: "floor.ts", sources: false, cached: false },
  ours("sources", true, false),
  ours("cached", true, true),
  ours("package", false, false),
  ours("package-cached", false, true),
];
const wanted = flags.ways.split(",");
const ways = known.filter(({ name }) => wanted.includes(name));
if (flags.against) {
  const script = join(resolve(flags.against), "bench/server.ts");
  for (const way of ways.filter(({ sources }) => sources)) {
    ways.push(ours(`${way.name}, other checkout`, true, way.cached, script));
  }
}
if (
  ways.some(({ name }) => name.startsWith("package")) &&
  !existsSync(new URL("../dist/index.js", import.meta.url))
) {
  throw new Error("There is no dist: run `npm run build` first");
}

const dir = mkdtempSync(join(tmpdir(), "agentos-start-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));

let databases = 0;
async function emptyDatabase(engine: string, postgres: PostgresServer | undefined) {
  databases++;
  if (!postgres || engine === "sqlite") return { AGENTOS_SQLITE_PATH: join(dir, `${databases}.db`) };
  return { DATABASE_URL: await postgres.createDatabase(`start_${databases}`) };
}

async function start(way: Way, database: Record<string, string>): Promise<number> {
  const child = await startChild({
    name: way.name,
    script: way.script,
    args: way.sources ? ["--conditions=agentos-source"] : [],
    env: {
      OPENAI_BASE_URL: "http://127.0.0.1:9/v1",
      OPENAI_API_KEY: "bench",
      ...(way.cached && { NODE_COMPILE_CACHE: join(dir, "cache") }),
      ...database,
    },
    health: true,
  });
  await child.stop();
  return child.startMs;
}

const rounds = Number(flags.rounds);
console.log(`Node ${process.version}, ${rounds} rounds, milliseconds at the median (least)\n`);
console.log("| engine | way | empty database | the same again |\n|---|---|---|---|");
for (const engine of flags.engines.split(",")) {
  const postgres = engine === "postgres" ? await startPostgres() : undefined;
  try {
    const taken = new Map(ways.map(({ name }) => [name, { first: [] as number[], again: [] as number[] }]));
    for (let round = 0; round <= rounds; round++) {
      for (const way of ways) {
        const database = await emptyDatabase(engine, postgres);
        const first = await start(way, database);
        const again = await start(way, database);
        // The first round fills the caches: Node's and the system's.
        if (round === 0) continue;
        taken.get(way.name)!.first.push(first);
        taken.get(way.name)!.again.push(again);
      }
    }
    const cell = (ms: number[]) => `${Math.round(median(ms))} (${Math.round(Math.min(...ms))})`;
    for (const [name, { first, again }] of taken) {
      console.log(`| ${engine} | ${name} | ${cell(first)} | ${cell(again)} |`);
    }
  } finally {
    await postgres?.stop();
  }
}
