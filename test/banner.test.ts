import { describe, expect, it } from "vitest";
import { banner } from "../src/banner.ts";

const FACTS = { port: 50051, httpPort: 8080, token: "a.b.c", storage: "memory" } as const;

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

  it.each([
    ["off", "  curl -H ", "http://localhost:8080/"],
    ["server", "  curl --cacert ca.pem -H ", "https://localhost:8080/"],
  ] as const)("shows a call by curl with TLS %s, if there is a gateway", (tls, beginning, url) => {
    const curlIn = (text: string) => text.split("\n").filter((line) => line.startsWith("  curl "));
    const [call = ""] = curlIn(banner({ ...FACTS, tls }));
    expect(call.slice(0, beginning.length)).toBe(beginning);
    expect(call).toContain(url);
    expect(curlIn(banner({ ...FACTS, httpPort: undefined, tls }))).toEqual([]);
  });
});
