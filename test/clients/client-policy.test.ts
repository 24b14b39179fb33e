import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { readClientPolicy } from "../../scripts/clients/client-policy.ts";
import { buildContractImage } from "../../scripts/clients/contract-image.ts";
import { toServiceConfig } from "../../src/client/service-config.ts";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";

describe("the policy of foreign clients", () => {
  const { defaultTimeoutsMs, serviceConfig } = readClientPolicy();

  it("has the deadlines of the contract", () => {
    expect(defaultTimeoutsMs.get("/user.v1.UserService/GetUser")).toBe(5000);
    expect(defaultTimeoutsMs.get("/user.v1.UserService/UploadUserData")).toBe(600_000);
  });

  it("has none for streams that live", () => {
    const missing = UserService.methods.filter(({ name }) => !defaultTimeoutsMs.has(`/user.v1.UserService/${name}`));
    expect(missing.map(({ name }) => name)).toEqual(["WatchUsers", "Chat", "CollaborativeEdit"]);
  });

  it("retries what is idempotent, and creations, which have request ids", () => {
    const [retried] = serviceConfig.methodConfig;
    expect(retried?.name.map(({ method }) => method).sort()).toEqual([
      "BatchGetUsers",
      "CreateUser",
      "CreateUsers",
      "GetUser",
      "ListUsers",
      "ListUsersPage",
      "WatchUsers",
    ]);
  });

  it("is otherwise that of the published client", () => {
    const published = toServiceConfig([UserService]);
    expect(serviceConfig.retryThrottling).toEqual(published.retryThrottling);
    expect(serviceConfig.methodConfig[0]?.retryPolicy).toEqual(published.methodConfig[0]?.retryPolicy);
  });
});

describe("the contract of foreign clients", () => {
  it("needs no stubs of rules and policies", async () => {
    const { files, services, bytes } = await buildContractImage(process.cwd(), { folder: "somewhere/" });
    expect(services).toEqual(["somewhere/user/v1/user_service.proto"]);
    expect(files).toHaveLength(5);
    const set = fromBinary(FileDescriptorSetSchema, bytes);
    const imported = new Set(set.file.flatMap(({ dependency }) => dependency));
    for (const name of imported) expect(name).toMatch(/^(google\/protobuf|somewhere\/user\/v1)\//);
    const service = set.file.find(({ name }) => name === services[0])?.service[0];
    expect(service?.method.flatMap(({ options }) => options?.$unknown ?? [])).toEqual([]);
    expect(service?.method[0]?.options?.idempotencyLevel).toBe(1);
  });
});
