import { defineConfig } from "vitest/config";

/** The full form of the long tests takes minutes, and measures memory, so nothing runs beside it. */
const full = Boolean(process.env.FULL);

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // What a server withstands is measured alone (npm run test:attack); a release has a step of its own (test:release).
    exclude: ["test/attack/**", "test/release/**"],
    testTimeout: full ? 1_800_000 : 15_000,
    // More than there are processors in most machines: half of the time, tests wait for timers and for other processes.
    maxWorkers: full ? 1 : 4,
    // No file shares a server or a database with another, so that they need not be kept apart; to load the server for each
    // takes longer. What a file leaves behind may outlive it, such as idle connections and their timers.
    isolate: false,
    // One PostgreSQL server for all files, in which tests make databases of their own; to start one takes half a second.
    globalSetup: ["test/support/compile-cache-setup.ts", "test/support/postgres-setup.ts"],
  },
});
