import { expect, test } from "vitest";
import { storm } from "../support/chaos/storm.ts";

test("servers are replaced one after another under load by a later version of their agent: no run fails, no stream has a gap", {
  retry: 1,
  timeout: 180_000,
}, async () => {
  const { findings, violations } = await storm({
    engine: "postgres",
    seed: 7,
    nodes: 2,
    lease: 3000,
    clients: 6,
    rage: async (_, { nodes }) => {
      for (const node of nodes) {
        await node.stop();
        await node.start({ CHAOS_VERSION: "2" });
      }
    },
  });
  const { counts, ...found } = findings;
  expect({ ...found, violations }).toEqual({
    lost: [],
    doubled: [],
    repeated: [],
    wrong: [],
    violations: [],
  });
  expect(counts.runs).toBeGreaterThan(0);
  expect(counts.failed).toBe(0);
});
