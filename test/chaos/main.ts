import { parseArgs } from "node:util";
import { type FaultName, faultNames } from "../support/chaos/faults.ts";
import { storm } from "../support/chaos/storm.ts";

/**
 * The long form of the fault test: `npm run test:chaos -- --minutes 10 --nodes 3 --seed 7`. With `--engine sqlite` one
 * server is killed and started again. It ends with 1 where anything was lost, doubled, repeated or wrong.
 */
const { values } = parseArgs({
  options: {
    engine: { type: "string", default: "postgres" },
    minutes: { type: "string", default: "10" },
    nodes: { type: "string", default: "3" },
    clients: { type: "string", default: "12" },
    lease: { type: "string", default: "2000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    faults: { type: "string", default: faultNames.join(",") },
    verbose: { type: "boolean", default: false },
  },
});
const engine = values.engine === "sqlite" ? "sqlite" : "postgres";
const seed = Number(values.seed);
const chosen = values.faults.split(",") as FaultName[];
const kinds = engine === "sqlite" ? chosen.filter((kind) => ["kill", "restart"].includes(kind)) : chosen;
console.log(
  `seed ${seed}, ${engine}, ${engine === "sqlite" ? 1 : values.nodes} nodes, ${values.minutes} minutes`,
);

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

const since = performance.now();
const { findings, violations, faults, statuses } = await storm({
  engine,
  seed,
  nodes: Number(values.nodes),
  lease: Number(values.lease),
  clients: Number(values.clients),
  rage: (storming) => storming.rage(Number(values.minutes) * 60_000, kinds),
  log: (line) => {
    if (values.verbose)
      console.log(`${((performance.now() - since) / 1000).toFixed(1).padStart(7)} s  ${line}`);
  },
});

const { counts, ...lists } = findings;
const problems = Object.entries({ ...lists, violations });
for (const [kind, list] of problems) for (const line of list.slice(0, 20)) console.log(`${kind}: ${line}`);
console.log(
  `faults     ${Object.entries(faults)
    .map(([kind, times]) => `${kind} ${times}`)
    .join(", ")}`,
);
console.log(
  `answers    ${Object.entries(statuses)
    .map(([status, times]) => `${status}: ${times}`)
    .join(", ")}`,
);
console.log(
  `runs ${counts.runs}, events ${counts.events}, takeovers ${counts.takeovers}, tool calls ${counts.tools}, begun twice ${counts.begunTwice}, given up after three crashes ${counts.gaveUp}`,
);
console.log(problems.map(([kind, list]) => `${kind} ${list.length}`).join(", "));
process.exitCode = problems.some(([, list]) => list.length > 0) ? 1 : 0;
