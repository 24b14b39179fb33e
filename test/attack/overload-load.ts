/**
 * A load generator for overload, run as a process of its own with an OverloadOrder in JSON as its only argument. Prints an
 * OverloadReport in JSON.
 *
 * First it finds the peak: as many answers as there are when a fixed number of calls is always open. Then calls arrive at a
 * multiple of that rate, whatever becomes of them, each with a deadline at which it is cancelled; and last at half the rate.
 */
import { setImmediate, setTimeout } from "node:timers/promises";
import { repeatedHeaders } from "../support/hpack.ts";
import { UnaryChannel } from "../support/unary-channel.ts";
import type { Outcome } from "../support/unary-connection.ts";
import { type OverloadOrder, type OverloadReport, SLOT_MS, type Slot } from "./overload-order.ts";

const order = JSON.parse(process.argv[2] ?? "") as OverloadOrder;
const { deadlineMs, seconds } = order;

type OnOutcome = (startedAt: number, outcome: Outcome) => void;

let onOutcome: OnOutcome = () => {};
const headers = repeatedHeaders([
  [":method", "POST"],
  [":scheme", "http"],
  [":path", order.path],
  [":authority", "127.0.0.1"],
  ["content-type", "application/grpc"],
  ["te", "trailers"],
  ["grpc-timeout", `${deadlineMs}m`],
  ["authorization", `Bearer ${order.token}`],
]);
const body = Buffer.from(order.body, "base64");
const calls = {
  port: order.port,
  headers,
  body,
  onEnd: (startedAt: number, outcome: Outcome) => onOutcome(startedAt, outcome),
};
const channels = Array.from({ length: order.connections }, () => new UnaryChannel(calls));
await setTimeout(100);
await closedLoop(seconds.warmUp);
const { rate: peak, latencies } = await closedLoop(seconds.peak);
const slots: Slot[] = [];
const start = performance.now();
await openLoop(peak * order.factor, seconds.overload);
const overloadMs = performance.now() - start;
await openLoop(peak / 2, seconds.after);
await setTimeout(2 * deadlineMs);
expire();
for (const channel of channels) channel.close();
const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
const report: OverloadReport = {
  peak,
  peakLatency: { p50: at(0.5), p99: at(0.99) },
  slots,
  overloadMs,
  reconnects: channels.reduce((sum, { reconnects }) => sum + reconnects, 0),
};
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit();

/** Keeps as many calls open as told. */
async function closedLoop(forSeconds: number): Promise<{ rate: number; latencies: number[] }> {
  const from = performance.now();
  const until = from + forSeconds * 1000;
  const times: number[] = [];
  let open = 0;
  onOutcome = (startedAt, outcome) => {
    open--;
    if (outcome === "answered") times.push(performance.now() - startedAt);
  };
  for (let next = 0; performance.now() < until; await setImmediate()) {
    for (; open < order.peakCalls; open++) channels[next++ % channels.length]?.call(performance.now());
    flush();
  }
  return { rate: times.length / ((performance.now() - from) / 1000), latencies: times.toSorted((a, b) => a - b) };
}

/** Has calls arrive at a rate, whatever becomes of them. */
async function openLoop(rate: number, forSeconds: number): Promise<void> {
  const from = performance.now();
  const until = from + forSeconds * 1000;
  let arrived = 0;
  onOutcome = (startedAt, outcome) => {
    const inTime = performance.now() - startedAt <= deadlineMs;
    const slot = slotAt(startedAt);
    if (inTime && outcome === "answered") slot.good++;
    else if (inTime && outcome === "refused") slot.refused++;
    else slot.lost++;
  };
  for (let now = from; now < until; now = performance.now()) {
    for (; arrived < ((now - from) / 1000) * rate; arrived++) {
      slotAt(now).offered++;
      channels[arrived % channels.length]?.call(now);
    }
    expire();
    flush();
    await setTimeout(1);
  }
}

function expire(): void {
  const latest = performance.now() - deadlineMs;
  for (const channel of channels) channel.cancelBefore(latest);
  flush();
}

function flush(): void {
  for (const channel of channels) channel.flush(performance.now());
}

function slotAt(time: number): Slot {
  const index = Math.max(0, Math.floor((time - start) / SLOT_MS));
  while (slots.length <= index) {
    slots.push({
      fromMs: slots.length * SLOT_MS,
      toMs: (slots.length + 1) * SLOT_MS,
      offered: 0,
      good: 0,
      refused: 0,
      lost: 0,
    });
  }
  return slots[index] as Slot;
}
