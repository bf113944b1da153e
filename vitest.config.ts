import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

/**
 * `node`: pure layers, in plain Node, fast. `workers`: everything else, in workerd with real Durable Objects, alarms, Queues and D1. `builds` and `comparison` start a
 * workerd of their own, to end its process or to put other code under its runs.
 */
export default defineConfig({
  test: {
    reporters: ["default", "./.ci/summary-reporter.mjs"],
    projects: [
      {
        test: {
          name: "node",
          include: ["test/core/**/*.test.ts", "test/engine/**/*.test.ts", "test/simulation/**/*.test.ts", "test/golden/**/*.test.ts"],
          environment: "node",
        },
      },
      { test: { name: "builds", include: ["test/upgrade/builds.test.ts"], environment: "node" } },
      { test: { name: "comparison", include: ["test/cloudflare/**/*.test.ts"], environment: "node" } },
      {
        plugins: [
          cloudflareTest(async () => ({
            main: "./test/worker.ts",
            wrangler: { configPath: "./test/wrangler.toml" },
            miniflare: {
              bindings: {
                TEST_MIGRATIONS: await readD1Migrations("migrations"),
                MOCK_MIGRATIONS: await readD1Migrations("examples/mock-saas/migrations"),
              },
            },
          })),
        ],
        test: {
          name: "workers",
          include: [
            "test/api/**/*.test.ts",
            "test/faults/**/*.test.ts",
            "test/laws/**/*.test.ts",
            "test/objects/**/*.test.ts",
            "test/stories/**/*.test.ts",
            "test/upgrade/upgrade.test.ts",
            "test/visibility/**/*.test.ts",
          ],
          setupFiles: ["./test/pool-workaround.ts"],
          testTimeout: 20_000,
        },
      },
    ],
  },
});
