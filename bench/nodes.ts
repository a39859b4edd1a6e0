/**
 * What more processes bring: one server against several behind a round-robin proxy, and one process on a port against
 * workers, all on one PostgreSQL. Runs and chunks a second, how fast a background run is picked up, commits, write-ahead log
 * and CPU a run, and which resource was the limit.
 *
 *   node bench/nodes.ts [--nodes 1,2,3] [--workers 1,2] [--rounds 3] [--seconds 5] [--pickups 100]
 *
 * Linux only.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import pg from "pg";
import { request } from "undici";
import { startPostgres } from "../test/support/postgres.ts";
import { type Child, startChild } from "./children.ts";
import { type Figures, load, type Scenario } from "./load.ts";
import { childrenOf, cpuBelow, cpuOf, machineCpu, mainThreadOf } from "./processor.ts";
import { format } from "./report.ts";
import { settled } from "./standing.ts";
import { median, quantile } from "./stats.ts";

const { values: flags } = parseArgs({
  options: {
    nodes: { type: "string", default: "1,2,3" },
    workers: { type: "string", default: "1,2" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "5" },
    pickups: { type: "string", default: "100" },
  },
});
const [rounds, seconds, pickups] = [flags.rounds, flags.seconds, flags.pickups].map(Number) as [
  number,
  number,
  number,
];
const numbers = (list: string) => list.split(",").filter(Boolean).map(Number);
const cores = availableParallelism();

/** How many servers there are, and how they are reached. */
interface Setup {
  kind: "nodes" | "workers";
  count: number;
}

/** The processes of a setup while it runs. */
interface Running {
  url: string;
  /** What takes requests: with workers those, else the servers. */
  pids: number[];
  /** With workers, the process above them. */
  primary: Child | undefined;
  proxy: Child | undefined;
  children: Child[];
  database: string;
}

/** Seconds of CPU a second that each took: how many cores it kept busy. */
interface Busy {
  nodes: number;
  /** The busiest server's main thread: near 1, that server can do no more. */
  busiestThread: number;
  database: number;
  load: number;
  model: number;
  /** The proxy, or the process above the workers. */
  between: number;
  machine: number;
}

/** One step of load on one setup. */
interface Step {
  figures: Figures;
  busy: Busy;
  commits: number;
  wal: number;
}

/** What one round measured of one setup. */
interface Measured {
  runs: Step;
  stream: Step;
  /** Milliseconds. */
  pickUp: number;
}

const setups: Setup[] = [
  ...numbers(flags.nodes).map((count) => ({ kind: "nodes" as const, count })),
  ...numbers(flags.workers).map((count) => ({ kind: "workers" as const, count })),
];
const nameOf = ({ kind, count }: Setup) =>
  kind === "nodes" ? `${count} behind a proxy` : `${count} on one port`;

const model = await startChild({
  name: "mock model",
  script: "../test/support/mock-model.ts",
  health: false,
});
const postgres = await startPostgres();

async function start({ kind, count }: Setup, database: string): Promise<Running> {
  const env = {
    OPENAI_BASE_URL: `${model.url}/v1`,
    OPENAI_API_KEY: "bench",
    DATABASE_URL: database,
  };
  const server = (name: string, more: Record<string, string> = {}) =>
    startChild({ name, script: "server.ts", env: { ...env, ...more }, health: true });
  if (kind === "workers") {
    const child = await server("workers", { AGENTOS_WORKERS: String(count) });
    const isPrimary = count > 1;
    return {
      url: child.url,
      pids: isPrimary ? childrenOf(child.pid) : [child.pid],
      primary: isPrimary ? child : undefined,
      proxy: undefined,
      children: [child],
      database,
    };
  }
  const children: Child[] = [];
  // One after the other: the first makes the tables.
  for (let i = 1; i <= count; i++) children.push(await server(`node ${i}`));
  const TARGETS = children.map(({ url }) => new URL(url).port).join(",");
  const proxy = await startChild({ name: "proxy", script: "proxy.ts", env: { TARGETS }, health: false });
  return {
    url: proxy.url,
    pids: children.map(({ pid }) => pid),
    primary: undefined,
    proxy,
    children: [...children, proxy],
    database,
  };
}

/** What each has used so far, in microseconds. */
function used({ pids, primary, proxy }: Running) {
  const between = proxy ?? primary;
  return {
    nodes: pids.map(cpuOf),
    threads: pids.map(mainThreadOf),
    database: cpuBelow(postgres.pid),
    model: cpuOf(model.pid),
    between: between ? cpuOf(between.pid) : 0,
    machine: machineCpu().used,
  };
}

async function step(scenario: Scenario, running: Running, db: pg.Client): Promise<Step> {
  const before = await settled(db);
  const cpuBefore = used(running);
  const figures = await load(scenario, { url: running.url, seconds });
  const cpu = used(running);
  const after = await settled(db);
  for (const child of running.children) child.check();
  if (figures.errors > 0) throw new Error(JSON.stringify(figures.errorKinds));
  const perSecond = (microseconds: number) => microseconds / 1e6 / figures.seconds;
  const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
  return {
    figures,
    busy: {
      nodes: perSecond(sum(cpu.nodes) - sum(cpuBefore.nodes)),
      busiestThread: perSecond(Math.max(...cpu.threads.map((one, i) => one - cpuBefore.threads[i]!))),
      database: perSecond(cpu.database - cpuBefore.database),
      load: figures.ownCores,
      model: perSecond(cpu.model - cpuBefore.model),
      between: perSecond(cpu.between - cpuBefore.between),
      machine: perSecond(cpu.machine - cpuBefore.machine),
    },
    commits: after.commits - before.commits,
    wal: after.wal - before.wal,
  };
}

/** Sends a run on a connection of its own, and gives the milliseconds until the text is there. All of the answer is read. */
async function timeTo(text: string, url: string, fields: object): Promise<number> {
  const since = performance.now();
  const { statusCode, body } = await request(`${url}/agents/copilot/runs`, {
    method: "POST",
    reset: true,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ message: "Summarize this thread", ...fields }),
  });
  let read = "";
  let found: number | undefined;
  for await (const chunk of body) {
    read += chunk;
    if (read.includes(text)) found ??= performance.now() - since;
  }
  if (statusCode >= 300 || found === undefined) throw new Error(`${statusCode}: ${read}`);
  return found;
}

/**
 * From the request to the first event of a background run, at the median, one run at a time. The run's session is there
 * already: so it waits in the queue as long as it takes until a server claims it, which need not be the one that was asked.
 */
async function pickUp(url: string): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < pickups; i++) {
    const session_id = crypto.randomUUID();
    await timeTo('"completed"', url, { session_id, stream: false });
    times.push(await timeTo("event: RunStarted", url, { session_id, stream: true, background: true }));
  }
  return quantile(
    times.sort((a, b) => a - b),
    0.5,
  );
}

async function measure(setup: Setup, round: number): Promise<Measured> {
  const running = await start(setup, await postgres.createDatabase(`${setup.kind}_${setup.count}_${round}`));
  const db = new pg.Client(running.database);
  await db.connect();
  try {
    await load("runs", { url: running.url, seconds: Math.min(1.5, seconds) });
    await load("stream", { url: running.url, seconds: Math.min(1, seconds) });
    const runs = await step("runs", running, db);
    const stream = await step("stream", running, db);
    return { runs, stream, pickUp: await pickUp(running.url) };
  } finally {
    await db.end();
    // The proxy last: servers that stop answer until they have.
    for (const child of running.children) await child.stop();
  }
}

/** Which resource had nothing left, and who took how much. */
function limitOf({ nodes, busiestThread, database, load: own, model: mock, between, machine }: Busy): string {
  // What is no part of the measurement spoils it.
  const others = machine - nodes - database - own - mock - between;
  const shares = Object.entries({
    nodes,
    PostgreSQL: database,
    load: own,
    "mock model": mock,
    between,
    others,
  })
    .map(([name, share]) => `${name} ${share.toFixed(2)}`)
    .join(", ");
  const full = 0.9;
  const candidates: [boolean, string][] = [
    [machine >= full * cores, `the machine's ${cores} cores (${machine.toFixed(2)} busy)`],
    [busiestThread >= full, "the main thread of a server"],
    [own >= full, "the load generator"],
    [mock >= full, "the mock model"],
    [between >= full, "the proxy, or the process above the workers"],
  ];
  const limit = candidates.find(([isFull]) => isFull)?.[1];
  return `${limit ?? "no processor: waiting, mostly for the database's commits"}; cores kept busy by ${shares}`;
}

const results = new Map<Setup, Measured[]>(setups.map((setup) => [setup, []]));
try {
  for (let round = 1; round <= rounds; round++) {
    for (const [setup, all] of results) {
      const measured = await measure(setup, round);
      all.push(measured);
      const { runs, stream } = measured;
      console.error(
        `round ${round}, ${nameOf(setup)}: ${format(runs.figures.runsPerSecond)} runs/s, ${format(stream.figures.chunksPerSecond)} chunks/s, pick-up ${format(measured.pickUp)} ms`,
      );
    }
  }
} finally {
  await Promise.all([model.stop(), postgres.stop()]);
}

type Pick = (measured: Measured) => number;
const perRun =
  (pick: (step: Step) => number): Pick =>
  ({ runs }) =>
    pick(runs) / runs.figures.runs;
/** CPU seconds that a figure of {@link Busy} comes to, as milliseconds a run. */
const cpuPerRun = (pick: (busy: Busy) => number): Pick =>
  perRun(({ busy, figures }) => pick(busy) * figures.seconds * 1000);
const columns: [string, Pick][] = [
  ["runs/s, 32 clients", ({ runs }) => runs.figures.runsPerSecond],
  ["chunks/s, 16 clients", ({ stream }) => stream.figures.chunksPerSecond],
  ["pick-up p50, ms", (measured) => measured.pickUp],
  ["commits a run", perRun(({ commits }) => commits)],
  ["WAL bytes a run", perRun(({ wal }) => wal)],
  ["CPU of nodes, ms a run", cpuPerRun(({ nodes }) => nodes)],
  ["CPU of PostgreSQL, ms a run", cpuPerRun(({ database }) => database)],
];
const lines = [["", ...columns.map(([name]) => name)]];
for (const [setup, all] of results) {
  const first = results.get(setups.find(({ kind }) => kind === setup.kind)!)!;
  const cells = columns.map(([, pick]) => {
    const ratio = median(all.map((one, i) => pick(one) / pick(first[i]!)));
    return `${format(median(all.map(pick)))}${all === first ? "" : ` (× ${ratio.toFixed(2)})`}`;
  });
  lines.push([nameOf(setup), ...cells]);
}
lines.splice(
  1,
  0,
  lines[0]!.map(() => "---"),
);
console.log(`medians of ${rounds} rounds; ×: median of the rounds' ratios to the first of its kind\n`);
for (const line of lines) console.log(`| ${line.join(" | ")} |`);

console.log("\nThe limit, in the last round:");
for (const [setup, all] of results) {
  const { runs, stream } = all.at(-1)!;
  console.log(`- ${nameOf(setup)}, runs: ${limitOf(runs.busy)}`);
  console.log(`  ${nameOf(setup)}, streams: ${limitOf(stream.busy)}`);
}

console.log("\nExtrapolated from CPU a run, not measured: where each part has cores of its own,");
for (const [setup, all] of results) {
  const [node, database] = [cpuPerRun(({ nodes }) => nodes), cpuPerRun((busy) => busy.database)];
  const [ofNode, ofDatabase] = [median(all.map(node)), median(all.map(database))];
  console.log(
    `- ${nameOf(setup)}: a core of PostgreSQL's is full at ${format(1000 / ofDatabase)} runs/s, which takes ${format(ofNode / ofDatabase)} cores of nodes`,
  );
}
