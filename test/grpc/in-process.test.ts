import { Metadata } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { CallerAddresses } from "../../src/grpc/in-process.ts";

const ADDRESS = "198.51.100.7";

function metadataOf([name, value]: readonly [string, string]): Metadata {
  const metadata = new Metadata();
  metadata.set(name, value);
  return metadata;
}

describe("the address of a caller", () => {
  test("is what the gateway says", () => {
    const addresses = new CallerAddresses();
    expect(addresses.toldBy(metadataOf(addresses.headerFor(ADDRESS)))).toBe(ADDRESS);
  });

  test("is not what anybody else says", () => {
    const addresses = new CallerAddresses();
    const [name] = addresses.headerFor(ADDRESS);
    expect(addresses.toldBy(metadataOf(new CallerAddresses().headerFor(ADDRESS)))).toBeUndefined();
    expect(addresses.toldBy(metadataOf([name, ADDRESS]))).toBeUndefined();
    expect(addresses.toldBy(new Metadata())).toBeUndefined();
  });
});
