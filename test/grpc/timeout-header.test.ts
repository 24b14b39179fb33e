import { describe, expect, it } from "vitest";
import { correctTimeout } from "../../src/grpc/timeout-header.ts";
import { startProbe } from "../support/probe.ts";
import { frame, openRequest } from "../support/raw-http2.ts";
import type { TestServer } from "../support/server.ts";

const EMPTY = frame(Buffer.alloc(0));

/** Calls with this grpc-timeout; returns the status, and how long the handler had if it was called. */
async function callWith(server: TestServer, timeout: string | string[], left: { ms?: number | undefined } = {}) {
  const request = openRequest(server.port, "/probe.v1.ProbeService/Public", { "grpc-timeout": timeout });
  request.stream.end(EMPTY);
  const { trailers } = await request.response;
  return { status: trailers["grpc-status"], details: trailers["grpc-status-details-bin"] !== undefined, ...left };
}

function probeOf(left: { ms?: number | undefined }): Promise<TestServer> {
  return startProbe({
    public: async (_request, context) => {
      left.ms = context.timeoutMs();
      return {};
    },
  });
}

describe("the timeout that a request states", () => {
  it.each(["99999999H", "1194H", "600H", "597H", "596H", "99999999M", "99999999S", "2147484S", "99999999m"])(
    "of %s is brought forward to the longest that the policy allows",
    async (timeout) => {
      const left: { ms?: number } = {};
      const server = await probeOf(left);
      expect(await callWith(server, timeout)).toEqual({ status: "0", details: false });
      expect(left.ms).toBeGreaterThan(50_000);
      expect(left.ms).toBeLessThanOrEqual(60_000);
    },
  );

  it.each([
    ["1H", 60_000],
    ["1M", 60_000],
    ["00000030S", 30_000],
    ["30000m", 30_000],
    ["30000000u", 30_000],
    ["99999999u", 99_999 / 2],
  ])("of %s is read in its unit", async (timeout, ms) => {
    const left: { ms?: number } = {};
    const server = await probeOf(left);
    expect(await callWith(server, timeout)).toMatchObject({ status: "0" });
    expect(left.ms).toBeGreaterThan(ms - 10_000);
    expect(left.ms).toBeLessThanOrEqual(60_000);
  });

  it.each(["0S", "0n", "1n", "999999n", "1u"])("of %s is over at once", async (timeout) => {
    const left: { ms?: number } = {};
    const server = await probeOf(left);
    expect(await callWith(server, timeout)).toEqual({ status: "4", details: true });
    expect(left.ms).toBeUndefined();
  });

  it.each([
    ["no timeout", "abc"],
    ["no unit", "100"],
    ["no number", "S"],
    ["nothing", ""],
    ["a sign", "-5S"],
    ["nine digits", "123456789m"],
    ["a fraction", "1.5S"],
    ["an unknown unit", "5s"],
    ["space", "100 m"],
    ["something before it", "abc100m"],
    ["something after it", "100mabc"],
    ["other digits", "\u00b2S"],
    ["two of them", ["5S", "6S"]],
  ])("fails with INTERNAL if it is %s", async (_, timeout) => {
    const left: { ms?: number } = {};
    const server = await probeOf(left);
    expect(await callWith(server, timeout)).toEqual({ status: "13", details: true });
    expect(left.ms).toBeUndefined();
    expect(await server.logs.waitForCalls(1)).toMatchObject([{ code: "INTERNAL" }]);
  });

  it("is never read by grpc-js as another than the one that was sent", () => {
    const seconds: Record<string, number> = { H: 3600, M: 60, S: 1, m: 1e-3, u: 1e-6, n: 1e-9 };
    for (const unit of Object.keys(seconds)) {
      for (let value = 1; value < 1e8; value = value * 3 + 1) {
        const [, digits = "", read = ""] = /^(\d{1,8})([HMSmun])$/.exec(correctTimeout(`${value}${unit}`)) ?? [];
        const asked = value * (seconds[unit] ?? 0);
        const given = Number(digits) * (seconds[read] ?? 0);
        expect(given * 1000).toBeLessThan(2 ** 31);
        expect(given).toBe(Math.min(asked, 2_147_483));
      }
    }
  });
});
