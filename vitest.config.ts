import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["agentos-source"] },
  ssr: { resolve: { conditions: ["agentos-source"], externalConditions: ["agentos-source"] } },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    execArgv: ["--conditions=agentos-source"],
    env: { LOG_LEVEL: "silent" },
  },
});
