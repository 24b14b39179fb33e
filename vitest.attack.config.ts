import { defineConfig } from "vitest/config";

const full = Boolean(process.env.FULL);

/** The attacks: each measures the memory and the answers of a server under fire, so nothing runs beside it. */
export default defineConfig({
  test: {
    include: ["test/attack/**/*.test.ts"],
    testTimeout: full ? 300_000 : 30_000,
    maxWorkers: 1,
    isolate: false,
    globalSetup: "test/attack/report-setup.ts",
  },
});
