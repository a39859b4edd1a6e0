/**
 * The load generator: as a library for `compare.ts`, and by hand against any server of this wire.
 *
 *   node bench/load.ts runs   --url http://127.0.0.1:7777 [--clients 32] [--seconds 5 | --requests 5000]
 *   node bench/load.ts stream --url … [--clients 16] [--tokens 200] [--delay 0]
 *   node bench/load.ts burst  --url … [--clients 1000] [--tokens 100] [--delay 20]
 *   node bench/load.ts ttft   --url … [--requests 200]
 */
import { parseArgs } from "node:util";
import { Connection, type RunResult } from "./connection.ts";
import { quantile } from "./stats.ts";

/** What a step of load can be: see `SCENARIOS` for how each is made up. */
export type Scenario = "runs" | "stream" | "burst" | "ttft";

/** One step of load. What is left out is as `SCENARIOS` has it. */
export interface LoadOptions {
  /** Of the server, such as `http://127.0.0.1:7777`. */
  url: string;
  agent?: string | undefined;
  /** How many connections, each with one run at a time. */
  clients?: number | undefined;
  /** How many runs in all; without, `seconds` decides. */
  requests?: number | undefined;
  /** No run is begun later than this; those under way are read to their end. */
  seconds?: number | undefined;
  /** `new`: each run has a session of its own. `fixed`: each client has one, whose history grows. */
  session?: "new" | "fixed" | undefined;
  /** How many words the model answers with. */
  tokens?: number | undefined;
  /** Milliseconds between two of them. */
  delay?: number | undefined;
  /** Whether the runs are done in background: streams are then stored before they are sent. */
  background?: boolean | undefined;
  /** The token of a client's next run; without, none is sent. */
  token?: ((client: number) => string) | undefined;
}

/** What a step of load measured. Times in milliseconds. */
export interface Figures {
  scenario: Scenario;
  clients: number;
  runs: number;
  /** Runs that failed: another status than 200, a broken connection, an answer or a stream that is not completed. */
  errors: number;
  /** How often each kind of error came. */
  errorKinds: Record<string, number>;
  seconds: number;
  runsPerSecond: number;
  p50: number;
  p99: number;
  /** `RunContent` frames of all streams. */
  chunks: number;
  chunksPerSecond: number;
  /** Frames that streams without an error were short of, against one a word of the model. */
  missingChunks: number;
  ttftP50: number;
  ttftP95: number;
  /** Cores that the load generator itself kept busy: near 1, it was the bottleneck. */
  ownCores: number;
}

interface Defaults {
  clients: number;
  requests?: number;
  seconds?: number;
  tokens?: number;
  delay?: number;
}

/** The steps and what each is by default. */
export const SCENARIOS: Record<Scenario, Defaults> = {
  runs: { clients: 32, seconds: 5 },
  stream: { clients: 16, seconds: 5, tokens: 200 },
  burst: { clients: 1000, tokens: 100, delay: 20 },
  ttft: { clients: 1, requests: 200, tokens: 10 },
};

/** Puts one step of load on a server and returns what it measured. */
export async function load(scenario: Scenario, options: LoadOptions): Promise<Figures> {
  const defaults = SCENARIOS[scenario];
  const clients = options.clients ?? defaults.clients;
  const tokens = options.tokens ?? defaults.tokens;
  const delay = options.delay ?? defaults.delay;
  const timed = options.seconds !== undefined && options.requests === undefined;
  const requests =
    scenario === "burst" ? clients : timed ? Infinity : (options.requests ?? defaults.requests ?? Infinity);
  const seconds = requests === Infinity ? (options.seconds ?? defaults.seconds ?? 5) : Infinity;

  const streamed = scenario !== "runs";
  const words = [tokens && `[[tokens=${tokens}]]`, delay && `[[delay=${delay}]]`].filter(Boolean);
  const message = ["Summarize this thread", ...words].join(" ");
  const tag = crypto.randomUUID();
  const results: RunResult[] = [];
  let begun = 0;

  const connections = Array.from(
    { length: clients },
    () => new Connection(options.url, options.agent ?? "copilot"),
  );
  const cpu = process.cpuUsage();
  const start = performance.now();
  const deadline = start + seconds * 1000;

  const client = async (connection: Connection, number: number): Promise<void> => {
    while (begun < requests && performance.now() < deadline) {
      const session = options.session === "fixed" ? `c${number}` : `r${begun}`;
      begun++;
      const user_id = `user-${number}@example.com`;
      const body = JSON.stringify({
        message,
        stream: streamed,
        session_id: `${tag}-${session}`,
        user_id,
        ...(options.background && { background: true }),
      });
      results.push(await connection.run(body, streamed, options.token?.(number)));
    }
  };
  await Promise.all(connections.map(client));

  const elapsed = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  await Promise.all(connections.map((connection) => connection.close()));
  const ownCores = (user + system) / 1e6 / elapsed;
  return { scenario, clients, ...summary(results, elapsed, streamed ? (tokens ?? 0) : 0), ownCores };
}

function summary(
  results: readonly RunResult[],
  seconds: number,
  expected: number,
): Omit<Figures, "scenario" | "clients" | "ownCores"> {
  const errorKinds: Record<string, number> = {};
  let errors = 0;
  let chunks = 0;
  let missingChunks = 0;
  for (const result of results) {
    chunks += result.chunks;
    if (result.error === undefined) {
      missingChunks += Math.max(0, expected - result.chunks);
    } else {
      errors++;
      errorKinds[result.error] = (errorKinds[result.error] ?? 0) + 1;
    }
  }
  const fine = results.filter((result) => result.error === undefined);
  const times = Float64Array.from(fine, (result) => result.ms).sort();
  const firsts = Float64Array.from(fine, (result) => result.ttftMs).sort();
  return {
    runs: results.length,
    errors,
    errorKinds,
    seconds,
    runsPerSecond: fine.length / seconds,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    chunks,
    chunksPerSecond: chunks / seconds,
    missingChunks,
    ttftP50: quantile(firsts, 0.5),
    ttftP95: quantile(firsts, 0.95),
  };
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      url: { type: "string", default: "http://127.0.0.1:7777" },
      agent: { type: "string" },
      clients: { type: "string" },
      requests: { type: "string" },
      seconds: { type: "string" },
      session: { type: "string" },
      tokens: { type: "string" },
      delay: { type: "string" },
    },
  });
  const scenario = positionals[0] ?? "runs";
  if (!(scenario in SCENARIOS))
    throw new Error(`no scenario ${scenario}: ${Object.keys(SCENARIOS).join(", ")}`);
  const number = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : Number(text);
  const figures = await load(scenario as Scenario, {
    url: values.url,
    agent: values.agent,
    clients: number(values.clients),
    requests: number(values.requests),
    seconds: number(values.seconds),
    session: values.session === "fixed" ? "fixed" : "new",
    tokens: number(values.tokens),
    delay: number(values.delay),
  });
  console.log(
    JSON.stringify(
      figures,
      (_, value) => (typeof value === "number" ? Math.round(value * 100) / 100 : value),
      2,
    ),
  );
  if (figures.errors > 0) process.exitCode = 1;
}

if (import.meta.main) await main();
