/**
 * How long an event takes from its commit to a reader: on the node that does the run, and on another one.
 *
 *   node bench/follow.ts                          # 16 background runs of 50 events/s for 5 s
 *   node bench/follow.ts --runs 64 --seconds 10
 *
 * It ends with status 1 when the median on the other node is over 30 ms, or an event is missing.
 */
import { parseArgs } from "node:util";
import { startPostgres } from "../test/support/postgres.ts";
import { startChild } from "./children.ts";
import type { Commit } from "./follow-node.ts";
import { quantile } from "./stats.ts";

/** Milliseconds that half of the events may take at most. */
const target = 30;

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "16" },
    seconds: { type: "string", default: "5" },
    rate: { type: "string", default: "50" },
  },
});
const [runs, seconds, rate] = [Number(values.runs), Number(values.seconds), Number(values.rate)];

/** When each event of a run arrived, in the order of their indexes. */
type Arrivals = number[];

/** Starts a run in background and reads its stream. */
function begin(onRunId: (runId: string) => void): Promise<Arrivals> {
  const request = fetch(`${here.url}/agents/copilot/runs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ message: "go", background: true, stream: true }),
  });
  return arrivalsOf(request, onRunId);
}

function follow(runId: string): Promise<Arrivals> {
  return arrivalsOf(fetch(`${there.url}/agents/copilot/runs/${runId}/resume`));
}

async function arrivalsOf(
  request: Promise<Response>,
  onRunId: (runId: string) => void = () => undefined,
): Promise<Arrivals> {
  const answer = await request;
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  const arrivals: Arrivals = [];
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of answer.body!) {
    const at = performance.timeOrigin + performance.now();
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      if (line.startsWith("id: ")) arrivals[Number(line.slice(4))] = at;
      else if (arrivals.length === 1 && line.startsWith("data: ")) onRunId(JSON.parse(line.slice(6)).run_id);
    }
  }
  return arrivals;
}

/** Milliseconds from each event's commit to its arrival, sorted; without the first events of each run. */
function delays(arrivals: Map<string, Arrivals>, commits: readonly Commit[], from: number): number[] {
  const found: number[] = [];
  for (const [runId, times] of arrivals) {
    const own = commits.filter(([id]) => id === runId);
    for (const [index, at] of [...times].entries()) {
      const commit = own.find(([, last]) => last >= index);
      if (at === undefined || !commit) throw new Error(`event ${index} of ${runId} is missing`);
      if (index >= from) found.push(at - commit[2]);
    }
  }
  return found.sort((a, b) => a - b);
}

const postgres = await startPostgres();
const env = {
  DATABASE_URL: await postgres.createDatabase("follow"),
  WORDS: String(seconds * rate),
  DELAY: String(1000 / rate),
};
// One after the other: the first makes the tables.
const here = await startChild({ name: "here", script: "follow-node.ts", env, health: true });
const there = await startChild({
  name: "there",
  script: "follow-node.ts",
  env: { ...env, CONCURRENCY: "0" },
  health: true,
});

/** One round: all runs at once, each followed on the other node as soon as its first event is there. */
async function round() {
  const near = new Map<string, Arrivals>();
  const far = new Map<string, Arrivals>();
  await Promise.all(
    Array.from({ length: runs }, async () => {
      const { promise: runId, resolve } = Promise.withResolvers<string>();
      const [first, other] = await Promise.all([begin(resolve), runId.then(follow)]);
      near.set(await runId, first);
      far.set(await runId, other);
    }),
  );
  const commits = (await (await fetch(`${here.url}/commits`)).json()) as Commit[];
  // What was there before the other reader came says nothing of how long an event takes.
  const settled = (all: Map<string, Arrivals>) => delays(all, commits, Math.floor(rate / 2));
  return { near: settled(near), far: settled(far), commits: commits.length };
}

// Also until each knows that the other is there.
await round();
const { near, far, commits } = await round();
const show = (all: number[]) =>
  [0.5, 0.95, 0.99].map((share) => `p${share * 100} ${quantile(all, share).toFixed(1)} ms`).join(", ");
console.log(`${runs} runs at ${rate} events/s, ${far.length} events in ${commits} run commits`);
console.log(`commit to reader, same node:  ${show(near)}`);
console.log(`commit to reader, other node: ${show(far)}`);
await Promise.all([here.stop(), there.stop()]);
await postgres.stop();
// Not by `exitCode`: what ends PostgreSQL with the process would overrule it.
process.exit(quantile(far, 0.5) <= target ? 0 : 1);
