import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it, onTestFinished } from "vitest";
import { Health } from "../../src/gen/health/v1/health_pb.ts";
import { signToken } from "../../src/interceptors/token.ts";
import { watchHealth } from "../faults/database/health-watch.ts";
import { ProbeRequestSchema } from "../gen/probe/v1/probe_pb.ts";
import { FULL } from "../support/full.ts";
import { repeatedHeaders } from "../support/hpack.ts";
import { callFields, headers, literalBlock, PREFACE, resetStream, settings } from "../support/http2-frames.ts";
import { startProbe } from "../support/probe.ts";
import { openRawConnection } from "../support/raw-connection.ts";
import { frame } from "../support/raw-http2.ts";
import { JWT_SECRET } from "../support/server.ts";
import { startServerProcess } from "../support/server-process.ts";
import { UnaryConnection } from "../support/unary-connection.ts";
import { type OverloadOrder, type OverloadReport, SLOT_MS, type Slot } from "./overload-order.ts";

/** Calls that may be at work at a time, and how long each is, in milliseconds: as with the connections to a database. */
const WORKERS = 4;
const WORK_MS = 10;

/** How long a call keeps the event loop busy, in milliseconds: many times as long as a refusal does, or a few times. */
const LONG_MS = 2;
const SHORT_MS = 0.05;

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

/** Milliseconds of the overload after which the throughput counts: a short overload is mostly its beginning. */
const SETTLED_MS = FULL ? 0 : 1000;
/** Milliseconds after which nothing may be left of an overload. */
const RECOVERY_MS = 2000;

/** Runs the load generator in a process of its own. */
async function generate(order: OverloadOrder): Promise<OverloadReport> {
  const program = fileURLToPath(new URL("overload-load.ts", import.meta.url));
  const child = spawn(process.execPath, [program, JSON.stringify(order)], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [report] = await Promise.all([text(child.stdout), once(child, "exit")]);
  return JSON.parse(report) as OverloadReport;
}

function sum(slots: readonly Slot[], count: "offered" | "good"): number {
  return slots.reduce((total, slot) => total + slot[count], 0);
}

/** A handler that keeps the event loop to itself for so many milliseconds. */
function busyFor(ms: number) {
  return async () => {
    for (const end = performance.now() + ms; performance.now() < end; );
    return {};
  };
}

describe("five times as many calls as can be served, with deadlines of 100 ms", () => {
  // Many connections, so that some of them are what can be served. Twice more, for what else the machine does takes from the throughput as well.
  it.each([
    ["wait for one another", queueing()] as const,
    // What else the machine does decides how many those are: only alone.
    ...(FULL
      ? [
          ["keep the event loop busy for long", busyFor(LONG_MS)] as const,
          ["keep it busy for little longer than refusals", busyFor(SHORT_MS)] as const,
        ]
      : []),
  ])(
    "that %s leave most of the throughput to those that are let in, and no trace two seconds later",
    { retry: 2 },
    async (_, handler) => {
      const server = await startProbe({ public: handler });
      const body = frame(toBinary(ProbeRequestSchema, create(ProbeRequestSchema, { text: "work" })));
      const { peak, overloadMs, slots } = await generate({
        port: server.port,
        path: "/probe.v1.ProbeService/Public",
        token: "",
        body: body.toString("base64"),
        connections: 20,
        peakCalls: 2 * WORKERS,
        deadlineMs: 100,
        factor: 5,
        seconds: FULL
          ? { warmUp: 2, peak: 5, overload: 20, after: 10 }
          : { warmUp: 0.3, peak: 0.7, overload: 2.5, after: 3 },
      });

      const during = slots.filter(({ fromMs, toMs }) => fromMs >= SETTLED_MS && toMs <= overloadMs);
      const goodput = sum(during, "good") / ((during.length * SLOT_MS) / 1000);
      expect(goodput / peak, "goodput, of the peak").toBeGreaterThan(0.7);
      // The calls of the last slot were cut short.
      const after = slots.filter(({ fromMs }) => fromMs >= overloadMs + RECOVERY_MS).slice(0, -1);
      expect(sum(after, "offered")).toBeGreaterThan(0);
      expect(sum(after, "good") / sum(after, "offered"), "answered in time, afterwards").toBeGreaterThan(0.99);
    },
  );
});

describe("a connection whose calls are refused all the time", () => {
  it("is told to call elsewhere when that takes the time of others, who are served all along", async () => {
    const server = await startServerProcess({ RATE_LIMIT_PER_CALLER: "1" });
    const token = await signToken({ secret: Buffer.from(JWT_SECRET) }, { id: "flood", role: "admin" }, 60);
    const flood = new UnaryConnection({
      port: server.port,
      headers: repeatedHeaders([
        [":method", "POST"],
        [":scheme", "http"],
        [":path", "/user.v1.UserService/GetUser"],
        [":authority", "127.0.0.1"],
        ["content-type", "application/grpc"],
        ["te", "trailers"],
        ["authorization", `Bearer ${token}`],
      ]),
      body: frame(new Uint8Array()),
      onEnd() {},
    });
    onTestFinished(() => flood.close());
    const health = watchHealth(server, "");
    await health.until("SERVING");
    const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${server.port}` });
    const honest = createClient(Health, transport);
    while (!flood.isLeaving) {
      while (flood.hasRoom) flood.call(0);
      flood.flush();
      await honest.check({});
    }
    // What somebody has sent who has to wait is not taken in one go.
    const block = literalBlock(callFields("/nowhere"));
    const resets = Array.from({ length: 50 }, (_, index) => [
      headers(2 * index + 1, block),
      resetStream(2 * index + 1),
    ]);
    const reset = await openRawConnection(server.port, PREFACE, settings(), ...resets.flat());
    onTestFinished(() => void reset.socket.destroy());
    const [line] = await server.logs.waitFor("connections cut off");
    expect(line).toMatchObject({ counts: { overload: 1 } });
    // Who comes now is let in as soon as there is time.
    const later = createClient(Health, createGrpcTransport({ baseUrl: `http://127.0.0.1:${server.port}` }));
    expect(await later.check({})).toMatchObject({ status: 1 });
    expect(health.said).toEqual(["SERVING"]);
  });
});
