import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { type handleUnaryCall, Metadata, status } from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished } from "vitest";
import type { CallEvent } from "../../src/client/call-event.ts";
import { CreateUserResponseSchema, UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { startBareServer } from "../support/bare-server.ts";
import { publishedClient } from "../support/client.ts";
import { failureOf } from "../support/errors.ts";
import { collect, newUsers, startTestServer } from "../support/server.ts";

describe("onCall", () => {
  /** A client, and what it has told of its calls. */
  async function listening() {
    const events: CallEvent[] = [];
    const server = await startTestServer();
    return { client: publishedClient(server, { onCall: (event) => events.push(event) }), events };
  }

  it("is told once of each call of any kind, when it has ended", async () => {
    const { client, events } = await listening();
    await client.createUsers(newUsers(3));
    await collect(client.listUsers({}));
    await client.getUser({ id: "nobody" }).catch(() => {});
    for await (const _ of client.listUsers({})) break;
    await client.getUser({ id: "nobody" }, { signal: AbortSignal.abort() }).catch(() => {});
    expect(events.map(({ method, code }) => `${method} ${code}`)).toEqual([
      "user.v1.UserService/CreateUsers OK",
      "user.v1.UserService/ListUsers OK",
      "user.v1.UserService/GetUser NOT_FOUND",
      "user.v1.UserService/ListUsers CANCELLED",
      "user.v1.UserService/GetUser CANCELLED",
    ]);
    for (const { durationMs, attempts } of events) {
      expect(durationMs).toBeGreaterThanOrEqual(0);
      expect(attempts).toBe(1);
    }
  });

  it("names the request id, which leads to the logs of the service", async () => {
    const { client, events } = await listening();
    await client.getUser({ id: "nobody" }).catch(() => {});
    await client.listUsersPage({}, { headers: { "x-request-id": "mine" } });
    await collect(client.listUsers({}, { headers: { "x-request-id": "mine-too" } }));
    expect(events.map(({ requestId }) => requestId)).toEqual([
      expect.stringMatching(/^[0-9a-f]+-\d+$/),
      "mine",
      "mine-too",
    ]);
  });

  it("counts the attempts, also of a call that fails", async () => {
    const events: CallEvent[] = [];
    let failures = 2;
    const metadata = new Metadata();
    metadata.set("grpc-retry-pushback-ms", "1");
    const createUser: handleUnaryCall<unknown, unknown> = (_call, callback) => {
      if (failures-- > 0) callback({ code: status.UNAVAILABLE, details: "not now", metadata });
      else callback(null, create(CreateUserResponseSchema));
    };
    const client = publishedClient(await startBareServer(UserService, { createUser }), {
      onCall: (event) => events.push(event),
    });
    await client.createUser({ email: "ada@example.com" });
    failures = 100;
    await client.createUser({ email: "ada@example.com" }).catch(() => {});
    expect(events).toMatchObject([
      { code: "OK", attempts: 3 },
      { code: "UNAVAILABLE", attempts: 4 },
    ]);
  });
});

describe("compression", () => {
  it("sends requests compressed with gzip", async () => {
    const seen: unknown[] = [];
    const server = createServer().on("stream", (stream, headers) => {
      stream.once("data", (bytes: Buffer) => {
        // The first byte of a message tells whether it is compressed.
        seen.push(`${headers["grpc-encoding"]} ${bytes[0]} ${bytes.length > 1000}`);
        stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "5" }, { endStream: true });
      });
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => void server.close());
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const request = { email: "ada@example.com", name: "a".repeat(1000) };
    for (const options of [{ compression: "gzip" }, {}] as const) {
      expect(await failureOf(publishedClient({ address }, options).createUser(request))).toMatchObject({
        code: "NotFound",
      });
    }
    expect(seen).toEqual(["gzip 1 false", "undefined 0 true"]);
  });
});
