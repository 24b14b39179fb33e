import { defineConfig } from "vitest/config";

/** What a release consists of and stands beside: the package, the scripts, and the storage layer of the last release. */
export default defineConfig({
  test: {
    include: ["test/release/**/*.test.ts"],
    testTimeout: 30_000,
    isolate: false,
    globalSetup: ["test/support/compile-cache-setup.ts", "test/support/postgres-setup.ts"],
  },
});
