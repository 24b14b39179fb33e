import { describe, expect, it } from "vitest";
import { banner } from "../src/banner.ts";

const FACTS = { port: 50051, token: "a.b.c", storage: "memory" } as const;

/** What is to be pasted. */
function callsIn(text: string): string[] {
  return text.split("\n").filter((line) => line.startsWith("  grpcurl "));
}

describe("the banner", () => {
  it.each([
    ["off", "  grpcurl -plaintext "],
    ["server", "  grpcurl -cacert ca.pem "],
    ["mutual", "  grpcurl -cacert ca.pem -cert client.pem -key client-key.pem "],
  ] as const)("shows calls as they are made with TLS %s", (tls, beginning) => {
    const calls = callsIn(banner({ ...FACTS, tls }));
    expect(calls).toHaveLength(4);
    for (const call of calls) expect(call.slice(0, beginning.length)).toBe(beginning);
    expect(calls.some((call) => call.includes("-plaintext"))).toBe(tls === "off");
  });
});
