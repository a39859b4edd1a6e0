/**
 * What traces cost: our server with traces against the same one without, side by side in one run.
 *
 *   node bench/traces.ts [--rounds 3] [--seconds 8] [--engines sqlite,postgres] [--session new|fixed]
 *
 * Ends with status 1 when a median is below 0.85.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { startPostgres } from "../test/support/postgres.ts";
import { type Child, startChild } from "./children.ts";
import { load } from "./load.ts";
import { median } from "./stats.ts";

const target = 0.85;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "8" },
    engines: { type: "string", default: "sqlite,postgres" },
    session: { type: "string", default: "new" },
  },
});
const session = flags.session === "fixed" ? "fixed" : "new";
const seconds = Number(flags.seconds);

const dir = mkdtempSync(join(tmpdir(), "agentos-bench-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));

const model = await startChild({
  name: "mock model",
  script: "../test/support/mock-model.ts",
  health: false,
});
const engines = flags.engines.split(",");
const postgres = engines.includes("postgres") ? await startPostgres() : undefined;

async function start(engine: string, traces: "on" | "off", round: number): Promise<Child> {
  const name = `${traces}_${round}`;
  const database =
    engine === "postgres"
      ? { DATABASE_URL: await postgres!.createDatabase(`traces_${name}`) }
      : { AGENTOS_SQLITE_PATH: join(dir, `${name}.db`) };
  return startChild({
    name: `traces ${traces}`,
    script: "server.ts",
    health: true,
    env: { OPENAI_BASE_URL: `${model.url}/v1`, OPENAI_API_KEY: "bench", BENCH_TRACES: traces, ...database },
  });
}

/** Milliseconds of processor time that a process has used; `NaN` where the system does not tell. */
function cpuOf({ pid }: Child): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    // In ticks of 10 ms: user and system time.
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return Number.NaN;
  }
}

interface Measured {
  runs: number;
  seconds: number;
  cpu: number;
}

/** A second of load. */
async function measure(child: Child, sum: Measured): Promise<void> {
  const before = cpuOf(child);
  const figures = await load("runs", { url: child.url, seconds: 1, session });
  child.check();
  if (figures.errors > 0) throw new Error(`${child.name}: ${JSON.stringify(figures.errorKinds)}`);
  sum.runs += figures.runs;
  sum.seconds += figures.seconds;
  // What is written behind the runs belongs to them.
  await sleep(700);
  sum.cpu += cpuOf(child) - before;
}

try {
  for (const engine of engines) {
    const ratios: number[] = [];
    for (let round = 1; round <= Number(flags.rounds); round++) {
      const children = [await start(engine, "off", round), await start(engine, "on", round)];
      try {
        for (const child of children) await load("runs", { url: child.url, seconds: 1.5 });
        // Second by second in turn: the machine does not stay the same.
        const sums = children.map(() => ({ runs: 0, seconds: 0, cpu: 0 }));
        for (let second = 0; second < seconds; second++) {
          const order = second % 2 === 0 ? [0, 1] : [1, 0];
          for (const i of order) await measure(children[i]!, sums[i]!);
        }
        const [off, on] = sums.map((sum) => ({ rate: sum.runs / sum.seconds, cpu: sum.cpu / sum.runs }));
        const ratio = on!.rate / off!.rate;
        ratios.push(ratio);
        console.error(
          `${engine}, round ${round}: off ${Math.round(off!.rate)}, on ${Math.round(on!.rate)} runs/s: ${ratio.toFixed(3)}; ` +
            `processor time of a run: off ${off!.cpu.toFixed(2)}, on ${on!.cpu.toFixed(2)} ms`,
        );
      } finally {
        await Promise.all(children.map((child) => child.stop()));
      }
    }
    const middle = median(ratios);
    console.log(`${engine}: with traces ${middle.toFixed(3)} of without (at least ${target})`);
    if (middle < target) process.exitCode = 1;
  }
} finally {
  await Promise.all([model.stop(), postgres?.stop()]);
}
