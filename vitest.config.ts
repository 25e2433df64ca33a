import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

/** For the tests in workerd, which see no environment of the process (docs/faults.md). */
const { CHAOS_RUNS = "", CHAOS_SEED = "", RECORD_RELEASE = "" } = process.env;
const ASKED = { CHAOS_RUNS, CHAOS_SEED, RECORD_RELEASE };

/** Four levels, from pure to whole: values in Node, objects in workerd, the built Worker on a port, a real browser. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          globalSetup: "./test/support/build-library.ts",
          include: [
            "test/{domain,provider,support,http,config,lib}/**/*.test.ts",
            "test/*.unit.test.ts",
          ],
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: { bindings: { AUTH_MODE: "none", ...ASKED } },
          }),
        ],
        test: { name: "objects", include: ["test/objects/**/*.test.ts"] },
      },
      {
        test: {
          name: "journeys",
          include: ["test/journeys/**/*.test.ts", "test/page/**/*.test.ts"],
          globalSetup: "./test/support/build-library.ts",
          // Each file starts the product on a port of its own; two cores bear one at a time best.
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
