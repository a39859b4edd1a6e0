import { setTimeout as wait } from "node:timers/promises";
import type { Cluster } from "./cluster.ts";
import type { ChaosNode } from "./node.ts";
import type { Random } from "./random.ts";

/** What is done to servers and their database. */
export const faultNames = [
  "kill",
  "freeze",
  "restart",
  "cut",
  "delay",
  "halfClose",
  "silence",
  "databaseRestart",
  "databaseCrash",
] as const;

export type FaultName = (typeof faultNames)[number];

/** Does harm to a cluster, at moments that a seed decides. */
export class Faults {
  readonly counts = Object.fromEntries(faultNames.map((name) => [name, 0])) as Record<FaultName, number>;
  /** What a server did that it must not. */
  readonly violations: string[] = [];
  readonly #cluster: Cluster;
  readonly #random: Random;
  readonly #lease: number;
  readonly #log: (line: string) => void;

  constructor(
    cluster: Cluster,
    random: Random,
    { lease, log }: { lease: number; log: (line: string) => void },
  ) {
    this.#cluster = cluster;
    this.#random = random;
    this.#lease = lease;
    this.#log = log;
  }

  /** Does one thing after another for some time; each node is in one kind of trouble at a time. */
  async rage(milliseconds: number, kinds: readonly FaultName[] = faultNames): Promise<void> {
    const until = performance.now() + milliseconds;
    const busy = new Set<ChaosNode>();
    const under: Promise<void>[] = [];
    let database: Promise<void> | undefined;
    while (performance.now() < until) {
      await wait(this.#random.between(100, 1000));
      const kind = this.#random.pick(kinds);
      const moment = this.#random.between(0, 1000);
      if (kind === "databaseRestart" || kind === "databaseCrash") {
        if (database || this.#random.chance(0.7)) continue;
        database = this.#database(kind).finally(() => {
          database = undefined;
        });
        under.push(database);
        continue;
      }
      const free = this.#cluster.nodes.filter((node) => !busy.has(node));
      if (free.length === 0) continue;
      const node = this.#random.pick(free);
      busy.add(node);
      under.push(this.#harm(node, kind, moment).finally(() => busy.delete(node)));
    }
    await Promise.all(under);
  }

  async #harm(node: ChaosNode, kind: FaultName, moment: number): Promise<void> {
    this.counts[kind]++;
    this.#log(`${kind} ${node.name}`);
    const { proxy } = node;
    try {
      switch (kind) {
        case "kill":
          await node.kill();
          await wait(moment);
          await node.start();
          break;
        case "freeze":
          node.freeze();
          await wait(this.#lease * 1.5 + moment);
          node.thaw();
          break;
        case "restart":
          await node.stop();
          await node.start();
          break;
        case "cut":
          proxy?.stop();
          await wait(moment * 3);
          proxy?.resume();
          break;
        case "delay":
          if (proxy) proxy.delay = moment / 3;
          await wait(2000);
          if (proxy) proxy.delay = 0;
          break;
        case "halfClose":
          proxy?.halfClose();
          break;
        case "silence":
          proxy?.freeze("all");
          await wait(this.#lease * 1.5 + moment);
          proxy?.stop();
          proxy?.resume();
          break;
      }
    } catch (error) {
      this.violations.push((error as Error).message);
      if (!node.isUp) await node.start();
    }
  }

  async #database(kind: "databaseRestart" | "databaseCrash"): Promise<void> {
    this.counts[kind]++;
    this.#log(kind);
    await this.#cluster.postgres?.halt(kind === "databaseCrash" ? "immediate" : "fast");
    await wait(this.#random.between(0, 1500));
    await this.#cluster.postgres?.start();
  }

  /** Ends all trouble: every node is up, and its database within reach. */
  async end(): Promise<void> {
    for (const node of this.#cluster.nodes) {
      node.proxy?.resume();
      if (node.proxy) node.proxy.delay = 0;
      if (node.isFrozen) node.thaw();
      if (!node.isUp) await node.start();
    }
  }
}
