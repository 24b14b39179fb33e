/**
 * Loaded into the server before anything else: tells, when asked by a message, what the process holds once the garbage is
 * collected. It changes nothing of how the process runs.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Holdings } from "./target.ts";

process.on("message", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as NodeJS.GCFunction;
  // What is finalized after one collection, the next one frees.
  for (let count = 0; count < 3; count++) await collect({ type: "major", execution: "async" });
  const { heapUsed, external } = process.memoryUsage();
  const resources = process.getActiveResourcesInfo();
  const holdings: Holdings = {
    bytes: heapUsed + external,
    timers: resources.filter((name) => name === "Timeout").length,
    connections: resources.filter((name) => name === "TCPSocketWrap").length,
  };
  process.send?.(holdings);
});
process.channel?.unref();
