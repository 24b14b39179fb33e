import { once } from "node:events";
import { credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  UserServiceClient,
  userChannelOptions,
  userServiceConfig,
  userServiceConfigWithRequestIds,
  userServiceDefinition,
} from "../../src/client/grpc-js.ts";
import type { CreateUsersResponse, GetUserResponse } from "../../src/gen/user/v1/user_service_pb.ts";
import { createFake, unavailable } from "../../src/testing/testing.ts";
import { ADMIN, newUsers, startTestServer, tokenFor } from "../support/server.ts";

function plainClient({ address }: { readonly address: string }) {
  const client = new UserServiceClient(address, credentials.createInsecure(), userChannelOptions);
  onTestFinished(() => client.close());
  return client;
}

async function asAdmin(): Promise<Metadata> {
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${await tokenFor(ADMIN)}`);
  return metadata;
}

describe("the client of plain grpc-js", () => {
  it("calls methods of all four kinds", async () => {
    const client = plainClient(await startTestServer());
    const metadata = await asAdmin();
    const { userIds } = await new Promise<CreateUsersResponse>((resolve, reject) => {
      const call = client.createUsers(metadata, (error, response) => {
        if (error !== null || response === undefined) reject(error);
        else resolve(response);
      });
      for (const user of newUsers(2)) call.write(user);
      call.end();
    });
    const { user } = await new Promise<GetUserResponse>((resolve, reject) => {
      client.getUser({ id: userIds[0] ?? "" }, metadata, (error, response) => {
        if (error !== null || response === undefined) reject(error);
        else resolve(response);
      });
    });
    expect(user?.email).toBe("user0@example.com");
    const users = await Array.fromAsync(client.listUsers({ pageSize: 10 }, metadata));
    expect(users.map(({ id }) => id)).toEqual(userIds);
    const chat = client.chat(metadata);
    chat.write({ message: "hello" });
    const [answer] = await once(chat, "data");
    expect(answer.message).toBe("Echo: hello");
    chat.end();
    chat.resume();
    await once(chat, "end");
  });

  it("tries again what the contract calls idempotent", async () => {
    await using fake = await createFake({ getUser: [unavailable(), async () => ({})], createUser: unavailable() });
    const client = plainClient(fake);
    await new Promise<void>((resolve, reject) => {
      client.getUser({ id: "ada" }, (error) => (error === null ? resolve() : reject(error)));
    });
    const error = await new Promise<ServiceError | null>((resolve) => client.createUser({}, resolve));
    expect(error?.code).toBe(status.UNAVAILABLE);
    expect(fake.calls.map(({ method }) => method)).toEqual(["getUser", "getUser", "createUser"]);
  });

  it("comes with the definition of the service and its config", () => {
    expect(userServiceDefinition.getUser).toMatchObject({
      path: "/user.v1.UserService/GetUser",
      requestStream: false,
      responseStream: false,
    });
    expect(JSON.parse(String(userChannelOptions["grpc.service_config"]))).toEqual(userServiceConfig);
    const names = userServiceConfigWithRequestIds.methodConfig.flatMap(({ name }) => name.map(({ method }) => method));
    expect(names).toContain("CreateUsers");
  });
});
