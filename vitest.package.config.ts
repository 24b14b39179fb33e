import { defineConfig } from "vitest/config";

/** The package as its users install it, and the scripts: compilers take most of the time, so the other tests go alone. */
export default defineConfig({
  test: {
    include: ["test/package/**/*.test.ts"],
    testTimeout: 30_000,
    isolate: false,
    globalSetup: "test/support/compile-cache-setup.ts",
  },
});
