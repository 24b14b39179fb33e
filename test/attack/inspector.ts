/**
 * Loaded into the server before anything else: tells, when asked by a message, what the process holds once the garbage is
 * collected. Until then it changes nothing of how the process runs.
 */
import { Duplex } from "node:stream";
import { queryObjects, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Holdings } from "./target.ts";

process.on("message", async (wanted: "bytes" | "all") => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as NodeJS.GCFunction;
  // What is finalized after one collection, the next one frees.
  for (let count = 0; count < 3; count++) await collect({ type: "major", execution: "async" });
  const { heapUsed, external } = process.memoryUsage();
  const holdings: Holdings = {
    bytes: heapUsed + external,
    timers: process.getActiveResourcesInfo().filter((type) => type === "Timeout").length,
    // Looks at the whole heap, which takes a second.
    streams: wanted === "all" ? queryObjects(Duplex, { format: "count" }) : 0,
  };
  process.send?.(holdings);
});
process.channel?.unref();
