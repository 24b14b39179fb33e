import { MethodOptions_IdempotencyLevel as IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { toServiceConfig } from "../../src/client/service-config.ts";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { ProbeService } from "../gen/probe/v1/probe_pb.ts";

describe("the service config", () => {
  it("retries UNAVAILABLE alone, up to four attempts", () => {
    const { methodConfig } = toServiceConfig([UserService]);
    expect(methodConfig.map(({ retryPolicy }) => retryPolicy)).toEqual([
      {
        maxAttempts: 4,
        initialBackoff: "0.1s",
        maxBackoff: "1s",
        backoffMultiplier: 2,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    ]);
  });

  it("names the methods that the contract calls idempotent, and no others", () => {
    const names = toServiceConfig([UserService]).methodConfig.flatMap(({ name }) => name.map(({ method }) => method));
    expect(names).toEqual(expect.arrayContaining(["GetUser", "ListUsers"]));
    expect(names).not.toContain("CreateUsers");
    expect(names).not.toContain("Chat");
    for (const { name, idempotency } of UserService.methods) {
      expect(names.includes(name), name).toBe(idempotency !== IdempotencyLevel.IDEMPOTENCY_UNKNOWN);
    }
  });

  it("retries nothing of a service that states nothing", () => {
    expect(toServiceConfig([ProbeService]).methodConfig).toEqual([]);
  });

  it("names those whose requests have a request_id as well, where the client sets it", () => {
    const { methodConfig } = toServiceConfig([UserService], { setsRequestIds: true });
    const names = methodConfig.flatMap(({ name }) => name.map(({ method }) => method));
    const plain = toServiceConfig([UserService]).methodConfig.flatMap(({ name }) => name.map(({ method }) => method));
    expect(names.filter((name) => !plain.includes(name))).toEqual(["CreateUser", "CreateUsers"]);
  });

  it("calls all addresses in turn, also where outlier detection is not known by its name in grpc-js", () => {
    const names = toServiceConfig([UserService]).loadBalancingConfig.flatMap((config) => Object.keys(config));
    expect(names).toEqual(["outlier_detection", "round_robin"]);
  });

  it("stops retries after ten failures in a row, until calls succeed", () => {
    expect(toServiceConfig([UserService]).retryThrottling).toEqual({ maxTokens: 20, tokenRatio: 0.1 });
  });
});
