import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Cluster } from "../support/chaos/cluster.ts";
import { Random } from "../support/chaos/random.ts";
import { type Aftermath, storm } from "../support/chaos/storm.ts";
import { engines } from "../support/engines.ts";

/** A failure is played again with the seed that its message names: `CHAOS_SEED=… npx vitest run test/chaos`. */
const seed = Number(process.env["CHAOS_SEED"] ?? Date.now() % 1_000_000);

/** How often the server is killed. */
const kills = Number(process.env["CHAOS_KILLS"] ?? 10);

function expectNoHarm({ findings, violations }: Aftermath): void {
  const { counts, ...found } = findings;
  expect({ seed, ...found, violations }).toEqual({
    seed,
    lost: [],
    doubled: [],
    repeated: [],
    wrong: [],
    violations: [],
  });
  expect(counts.runs).toBeGreaterThan(0);
}

describe.each(engines)("a server on $name", { retry: 1 }, ({ name }) => {
  test("that is killed again and again under load loses, doubles and repeats nothing", {
    timeout: 120_000 + kills * 10_000,
  }, async () => {
    const random = new Random(seed);
    const killing = async ({ nodes: [node] }: Cluster) => {
      for (let i = 0; i < kills; i++) {
        await wait(random.between(100, 1500));
        await node!.kill();
        await node!.start();
      }
    };
    const aftermath = await storm({
      engine: name,
      seed,
      nodes: 1,
      lease: 1000,
      clients: 8,
      rage: (_, cluster) => killing(cluster),
    });
    expectNoHarm(aftermath);
  });
});

test("three servers that are killed, frozen and cut off under load, with their database, lose, double and repeat nothing", {
  retry: 1,
  timeout: 240_000,
}, async () => {
  const aftermath = await storm({
    engine: "postgres",
    seed,
    nodes: 3,
    lease: 1500,
    clients: 8,
    rage: (faults) => faults.rage(20_000),
  });
  expectNoHarm(aftermath);
});
