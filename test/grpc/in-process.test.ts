import { Metadata } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { CallerAddresses } from "../../src/grpc/in-process.ts";

const inProcess = { getPeer: () => "unknown" };
const overTcp = { getPeer: () => "192.0.2.1:4711" };

function metadataOf([name, value]: readonly [string, string]): Metadata {
  const metadata = new Metadata();
  metadata.set(name, value);
  return metadata;
}

describe("the address of a caller", () => {
  test("is that of its connection", () => {
    expect(new CallerAddresses().of(overTcp, new Metadata())).toBe("192.0.2.1:4711");
  });

  test("is what the gateway says, within the process", () => {
    const addresses = new CallerAddresses();
    expect(addresses.of(inProcess, metadataOf(addresses.headerFor("198.51.100.7")))).toBe("198.51.100.7");
  });

  test("is not what anybody else says", () => {
    const addresses = new CallerAddresses();
    const header = addresses.headerFor("198.51.100.7");
    expect(addresses.of(overTcp, metadataOf(header))).toBe("192.0.2.1:4711");
    expect(addresses.of(inProcess, metadataOf(new CallerAddresses().headerFor("198.51.100.7")))).toBe("unknown");
    expect(addresses.of(inProcess, metadataOf([header[0], "198.51.100.7"]))).toBe("unknown");
  });
});
