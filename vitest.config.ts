import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["agentos-source"] },
  ssr: { resolve: { conditions: ["agentos-source"], externalConditions: ["agentos-source"] } },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    // More than there are cores: tests of crashes spend most of their time waiting for leases and processes.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 120_000,
    execArgv: ["--conditions=agentos-source"],
    env: { LOG_LEVEL: "silent" },
  },
});
