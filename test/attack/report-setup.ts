import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { REPORT_FILE, REPORT_HEAD } from "./report.ts";

/** Called by vitest before the first attack: begins a new report. */
export async function setup(): Promise<void> {
  await mkdir(dirname(REPORT_FILE), { recursive: true });
  await writeFile(REPORT_FILE, REPORT_HEAD);
}
