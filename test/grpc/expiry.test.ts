import { Metadata } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type AnyCall, CallContext } from "../../src/grpc/call-context.ts";
import { CallCancelledError, DeadlineExceededError } from "../../src/grpc/errors.ts";
import { ProbeService } from "../gen/probe/v1/probe_pb.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

describe("why a call has ended that got no status", () => {
  const reasons = [
    { leftMs: 0, reason: DeadlineExceededError },
    // A timer may fire before Date.now has come to its time, and a client's clock may run ahead.
    { leftMs: 1, reason: DeadlineExceededError },
    { leftMs: 20, reason: DeadlineExceededError },
    { leftMs: 21, reason: CallCancelledError },
    { leftMs: Number.POSITIVE_INFINITY, reason: CallCancelledError },
  ];
  it.each(reasons)("is $reason.name with $leftMs ms left", ({ leftMs, reason }) => {
    const call: AnyCall = {
      cancelled: true,
      metadata: new Metadata(),
      getDeadline: () => Date.now() + leftMs,
      getHost: () => "",
      getPath: () => "",
      sendMetadata: () => {},
      once: () => {},
    };
    expect(new CallContext(ProbeService.method.brief, call).endReason).toBeInstanceOf(reason);
  });
});
