import { examine, type Findings } from "./checks.ts";
import { Cluster } from "./cluster.ts";
import { type FaultName, Faults } from "./faults.ts";
import { Load } from "./load.ts";
import { Random } from "./random.ts";

/** How a storm goes. */
export interface StormOptions {
  engine: "sqlite" | "postgres";
  seed: number;
  nodes: number;
  /** Milliseconds of a node's lease. */
  lease: number;
  clients: number;
  /** What is done to the servers, and for how long. Resolves when it is over. */
  rage: (faults: Faults, cluster: Cluster) => Promise<void>;
  /** Told what happens. */
  log?: (line: string) => void;
}

/** What came of a storm. */
export interface Aftermath {
  findings: Findings;
  /** What clients saw and servers did that may not be. */
  violations: string[];
  faults: Record<FaultName, number>;
  statuses: Record<string, number>;
}

/** Servers under load are hurt for a while, then let come to rest, and what they left is looked at. */
export async function storm(options: StormOptions): Promise<Aftermath> {
  const { engine, seed, nodes, lease, clients, rage, log = () => undefined } = options;
  const random = new Random(seed);
  const cluster = await Cluster.create(engine, { nodes, lease });
  try {
    await cluster.start();
    const load = new Load(cluster.nodes, random.fork());
    const faults = new Faults(cluster, random.fork(), { lease, log });
    load.start(clients);
    await rage(faults, cluster);
    await faults.end();
    log("the storm is over");
    const unread = await load.finish(60_000);
    const open = await cluster.settled(60_000);
    const findings = examine({
      ...(await cluster.stored()),
      asked: load.asked,
      readings: load.readings,
      effects: await cluster.effects(),
    });
    findings.lost.push(
      ...open.map(({ run_id, status, attempt }) => `${run_id} is still ${status} (attempt ${attempt})`),
      ...unread.map((runId) => `the end of ${runId} was not told to its reader`),
    );
    const violations = [
      ...load.violations,
      ...faults.violations,
      ...cluster.nodes.flatMap((node) => node.falls),
    ];
    return { findings, violations, faults: faults.counts, statuses: Object.fromEntries(load.statuses) };
  } finally {
    await cluster.close();
  }
}
