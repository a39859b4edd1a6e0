import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["agentos-source"] },
  ssr: { resolve: { conditions: ["agentos-source"], externalConditions: ["agentos-source"] } },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    // More than there are cores: tests of crashes spend most of their time waiting for leases and processes.
    maxWorkers: 4,
    testTimeout: 30_000,
    hookTimeout: 120_000,
    // Real processes are killed, frozen and cut off here, and what is waited for is a lease that runs out: on a machine that
    // is busy with other things one may come too late. It is run once more, and then it counts.
    retry: 1,
    execArgv: ["--conditions=agentos-source"],
    env: { LOG_LEVEL: "silent" },
  },
});
