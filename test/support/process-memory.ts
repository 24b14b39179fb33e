import { readFile, writeFile } from "node:fs/promises";

/** The bytes of a process that are resident now. */
export function residentBytes(pid: number): Promise<number> {
  return memoryOf(pid, "VmRSS");
}

/** The most bytes of a process that were resident while something happened. The kernel counts them: nothing is missed. */
export async function peakBytes(pid: number, happening: () => Promise<unknown>): Promise<number> {
  // Makes what is resident now the peak so far.
  await writeFile(`/proc/${pid}/clear_refs`, "5");
  await happening();
  return memoryOf(pid, "VmHWM");
}

async function memoryOf(pid: number, entry: "VmRSS" | "VmHWM"): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${entry}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
}
