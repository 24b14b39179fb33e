import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type handleClientStreamingCall, type handleUnaryCall, status } from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  type CreateUserResponse,
  CreateUserResponseSchema,
  type CreateUsersResponse,
  CreateUsersResponseSchema,
  type DeleteUserRequest,
  type DeleteUserResponse,
  DeleteUserResponseSchema,
  type GetUserRequest,
  type GetUserResponse,
  GetUserResponseSchema,
  UserService,
} from "../../src/gen/user/v1/user_service_pb.ts";
import { startBareServer } from "../support/bare-server.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import { runCommand } from "../support/command-line.ts";
import { PemFolder } from "../support/pem-folder.ts";
import { ADMIN, JWT_SECRET, startTestServer, tokenFor, userClient } from "../support/server.ts";

/** A file that holds the key. It is removed after the test. */
async function keyFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "demo-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, "key");
  await writeFile(file, JWT_SECRET);
  return file;
}

/** A server that refuses users who exist already with the wrong code, and that keeps who is created and deleted. */
async function startWrongServer() {
  const created = new Set<string>();
  const deleted = new Set<string>();
  const createUser: handleUnaryCall<unknown, CreateUserResponse> = (_call, callback) => {
    created.add("ada");
    callback(null, create(CreateUserResponseSchema, { user: { id: "ada" } }));
  };
  const createUsers: handleClientStreamingCall<unknown, CreateUsersResponse> = (call, callback) => {
    call.resume();
    call.on("end", () => {
      if (created.has("grace")) return callback({ code: status.INTERNAL, details: "broken" });
      for (const id of ["grace", "alan"]) created.add(id);
      callback(null, create(CreateUsersResponseSchema, { userIds: ["grace", "alan"], createdCount: 2 }));
    });
  };
  const getUser: handleUnaryCall<GetUserRequest, GetUserResponse> = ({ request: { id } }, callback) =>
    callback(null, create(GetUserResponseSchema, { user: { id } }));
  const deleteUser: handleUnaryCall<DeleteUserRequest, DeleteUserResponse> = ({ request: { id } }, callback) => {
    deleted.add(id);
    callback(null, create(DeleteUserResponseSchema));
  };
  const server = await startBareServer(UserService, { createUser, createUsers, getUser, deleteUser });
  return { ...server, created, deleted };
}

describe("user-service demo", () => {
  it.each([
    { when: "the key", credentials: async () => ({ JWT_SECRET }) },
    { when: "the key in a file", credentials: async () => ({ JWT_SECRET_FILE: await keyFile() }) },
    { when: "a token", credentials: async () => ({ TOKEN: await tokenFor(ADMIN) }) },
  ])("walks through every RPC with $when, and leaves nobody behind", async ({ credentials }) => {
    const server = await startTestServer();
    const environment = { ADDRESS: server.address, ...(await credentials()) };
    const { code, stdout, stderr } = await runCommand(["demo"], environment);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const calls = new Set((await server.logs.waitForCalls(20)).map(({ method }) => method));
    for (const { name } of UserService.methods) {
      expect(stdout).toMatch(new RegExp(`^${name} \\(`, "m"));
      expect(calls).toContain(`user.v1.UserService/${name}`);
    }
    expect((await userClient(server).listUsersPage({})).users).toEqual([]);
  });

  it("ends at a failure that is not the expected one, and leaves nobody behind", async () => {
    const { address, created, deleted } = await startWrongServer();
    const { code, stdout, stderr } = await runCommand(["demo"], { ADDRESS: address });
    expect(code).toBe(1);
    expect(stderr).toBe("INTERNAL: broken\n");
    expect(stdout).not.toContain("GetUser");
    expect(created.size).toBe(3);
    expect(deleted).toEqual(created);
  });

  it("says what is wrong with the key", async () => {
    const { code, stdout, stderr } = await runCommand(["demo"], { JWT_SECRET: "short" });
    expect([code, stdout]).toEqual([78, ""]);
    expect(stderr).toBe("JWT_SECRET: must be at least 32 bytes\n");
  });

  it("says what to do when the server speaks TLS", async () => {
    const pair = await (await CertificateAuthority.create()).server();
    const { address } = await startTestServer({ environment: new PemFolder().variables(pair) });
    const { code, stderr } = await runCommand(["demo", "--address", address], { JWT_SECRET });
    expect([code, stderr]).toEqual([69, `The server at ${address} speaks TLS: call it with --tls or --ca-file.\n`]);
  });

  it("says what to do when the server wants a token", async () => {
    const server = await startTestServer();
    const { code, stderr } = await runCommand(["demo"], { ADDRESS: server.address });
    expect(code).toBe(1);
    expect(stderr).toContain("export TOKEN");
  });

  it("says what to do when there is no server", async () => {
    const { code, stderr } = await runCommand(["demo"], { ADDRESS: "127.0.0.1:1" });
    expect(code).toBe(69);
    expect(stderr).toContain(
      "Nothing serves at 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1. Start it with: npm start",
    );
  });
});
