/**
 * Makes the baseline of the storage layer, which the tests run beside the layer of today: the compiled PostgreSQL
 * adapter with what it imports, and its migrations. Usage:
 * `node scripts/storage-baseline.ts COMPILED_DIRECTORY BASELINE_DIRECTORY`.
 */
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** Ids of one process alone are promised to ascend, so both layers take them from one place. */
const SHARED_IDS = "export { newUserId } from '../../../../../src/domain/user-id.ts';\n";

/** The adapter that is of no use here. */
const OTHER_ADAPTER = "memory";

const [compiled = "", baseline = ""] = process.argv.slice(2);
if (compiled === "" || baseline === "")
  throw new Error("usage: storage-baseline.ts COMPILED_DIRECTORY BASELINE_DIRECTORY");

rmSync(baseline, { recursive: true, force: true });
for (const folder of ["domain", "repository"]) {
  const filter = (path: string): boolean => basename(path) !== OTHER_ADAPTER;
  cpSync(join(compiled, folder), join(baseline, "dist", folder), { recursive: true, filter });
}
cpSync("migrations", join(baseline, "migrations"), { recursive: true });
writeFileSync(join(baseline, "dist/domain/user-id.js"), SHARED_IDS);
