import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import { ProbeRequestSchema } from "../gen/probe/v1/probe_pb.ts";
import { FULL } from "../support/full.ts";
import { startProbe } from "../support/probe.ts";
import { frame } from "../support/raw-http2.ts";
import type { OverloadOrder, OverloadReport, Slot } from "./overload-load.ts";

/** Calls that may be at work at a time, and how long each is, in milliseconds: as with the connections to a database. */
const WORKERS = 4;
const WORK_MS = 10;

/** A handler that works for a while, when it is its turn. */
function queueing() {
  let free = WORKERS;
  const waiting: (() => void)[] = [];
  return async (_request: unknown, { signal }: { signal: AbortSignal }) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      if (!signal.aborted) await setTimeout(WORK_MS);
      return {};
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}

async function overload(order: Partial<OverloadOrder> & Pick<OverloadOrder, "port" | "path" | "body">) {
  const complete: OverloadOrder = {
    token: "",
    connections: 20,
    peakCalls: 2 * WORKERS,
    deadlineMs: 100,
    factor: 5,
    seconds: FULL
      ? { warmUp: 2, peak: 5, overload: 15, after: 10 }
      : { warmUp: 0.3, peak: 0.7, overload: 2, after: 2.5 },
    ...order,
  };
  const generator = new URL("overload-load.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [generator, JSON.stringify(complete)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [report] = await Promise.all([text(child.stdout), once(child, "exit")]);
  return JSON.parse(report) as OverloadReport;
}

function goodput(slots: readonly Slot[]): number {
  return slots.reduce((sum, { good }) => sum + good, 0);
}

describe("five times as many calls as can be served, with deadlines of 100 ms", () => {
  it("leave most of the throughput to those that are let in, and no trace two seconds later", async () => {
    const server = await startProbe(
      { public: queueing() },
      { environment: { MAX_CALLS_IN_FLIGHT: process.env.MCIF ?? "5000" } },
    );
    const body = frame(toBinary(ProbeRequestSchema, create(ProbeRequestSchema, { text: "work" })));
    const { peak, slots, overloadMs } = await overload({
      port: server.port,
      path: "/probe.v1.ProbeService/Public",
      body: body.toString("base64"),
    });
    const during = slots.filter(({ fromMs, toMs }) => fromMs >= 250 && toMs <= overloadMs);
    const after = slots.filter(({ fromMs }) => fromMs >= overloadMs + 2000).slice(0, -1);
    const seconds = during.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0) / 1000;
    console.log(
      peak,
      slots.map((s) => (s.good * 4) / peak),
      goodput(during) / seconds / peak,
    );
    expect(goodput(during) / seconds / peak).toBeGreaterThan(0.7);
    expect(goodput(after)).toBeGreaterThanOrEqual(0.99 * after.reduce((sum, { offered }) => sum + offered, 0));
  });
});
