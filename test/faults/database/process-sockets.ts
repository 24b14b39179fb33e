import { readdir, readlink } from "node:fs/promises";

/** How many sockets a process has open; 0 where that cannot be seen, which is everywhere but on Linux. */
export async function countSockets(pid: number): Promise<number> {
  if (process.platform !== "linux") return 0;
  const folder = `/proc/${pid}/fd`;
  const files = await readdir(folder);
  // A file may have been closed meanwhile.
  const targets = await Promise.all(files.map((file) => readlink(`${folder}/${file}`).catch(() => "")));
  return targets.filter((target) => target.startsWith("socket:")).length;
}
