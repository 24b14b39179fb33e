import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // The full form of the long tests takes minutes.
    testTimeout: process.env.FULL ? 1_800_000 : 15_000,
  },
});
