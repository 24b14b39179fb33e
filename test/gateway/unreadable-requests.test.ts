import { gzipSync } from "node:zlib";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { describe, expect, test } from "vitest";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { GetUserRequestSchema } from "../../src/gen/user/v1/user_service_pb.ts";
import { startTestServer } from "../support/server.ts";

const PATH = "/user.v1.UserService";
const MESSAGE = Buffer.from(toBinary(GetUserRequestSchema, { $typeName: GetUserRequestSchema.typeName, id: "nobody" }));
const JSON_MESSAGE = Buffer.from('{"id":"nobody"}');
const BROKEN = Buffer.of(10, 50, 97);
const NOT_UTF8 = Buffer.of(10, 2, 0xff, 0xfe);

async function startGateway(): Promise<string> {
  const { server } = await startTestServer({ environment: { HTTP_PORT: "0", AUTH: "none" } });
  return `http://127.0.0.1:${server.httpPort}${PATH}`;
}

/** A message of a stream. */
function envelope(message: Uint8Array, flag = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

interface ErrorJson {
  readonly code: string;
  readonly details: readonly { readonly type: string; readonly value: string }[];
}

function expectBadInput({ code, details }: ErrorJson): void {
  expect(code).toBe("invalid_argument");
  expect(details.map(({ type }) => type)).toEqual(["google.rpc.ErrorInfo"]);
  const info = fromBinary(ErrorInfoSchema, base64Decode(details[0]?.value ?? ""));
  expect(info).toMatchObject({ reason: "INVALID_REQUEST", domain: "user.v1" });
}

describe("a request that cannot be read is INVALID_ARGUMENT", () => {
  test.each([
    ["base64 that is none", "encoding=json&base64=1&message=!!"],
    ["half of base64", "encoding=proto&base64=1&message=A"],
    ["JSON that is none", "encoding=json&message=%%%"],
    ["JSON where base64 is said", `encoding=json&base64=1&message=${encodeURIComponent(String(JSON_MESSAGE))}`],
    ["no message", "encoding=json"],
    ["no text in JSON", `encoding=json&base64=1&message=${NOT_UTF8.toString("base64url")}`],
    ["a message that ends early", `encoding=proto&base64=1&message=${BROKEN.toString("base64url")}`],
    ["a message that is none", "encoding=proto&message=nobody"],
    ["text that is not UTF-8", `encoding=proto&base64=1&message=${NOT_UTF8.toString("base64url")}`],
    ["gzip that is none", `encoding=json&base64=1&compression=gzip&message=${JSON_MESSAGE.toString("base64url")}`],
    [
      "gzip that ends early",
      `encoding=json&base64=1&compression=gzip&message=${gzipSync(JSON_MESSAGE).subarray(0, 15).toString("base64url")}`,
    ],
  ])("GET with %s", async (_, query) => {
    const response = await fetch(`${await startGateway()}/GetUser?connect=v1&${query}`);
    expect(response.status).toBe(400);
    expectBadInput((await response.json()) as ErrorJson);
  });

  test.each<[string, string, Buffer, Record<string, string>?]>([
    ["JSON that is none", "application/json", Buffer.from("{")],
    ["a message that ends early", "application/proto", BROKEN],
    ["gzip that is none", "application/json", JSON_MESSAGE, { "content-encoding": "gzip" }],
    ["a timeout that is none", "application/json", JSON_MESSAGE, { "connect-timeout-ms": "soon" }],
  ])("POST with %s", async (_, type, body, headers = {}) => {
    const url = `${await startGateway()}/GetUser`;
    const response = await fetch(url, { method: "POST", headers: { "content-type": type, ...headers }, body });
    expect(response.status).toBe(400);
    expectBadInput((await response.json()) as ErrorJson);
  });

  test.each<[string, string, Buffer]>([
    ["JSON that is none", "json", envelope(Buffer.from("{"))],
    ["a message that ends early", "proto", envelope(BROKEN)],
    ["a compressed message, and no encoding", "json", envelope(gzipSync(JSON_MESSAGE), 1)],
  ])("a stream with %s", async (_, type, body) => {
    const url = await startGateway();
    const headers = { "content-type": `application/connect+${type}` };
    for (const method of ["ListUsers", "CreateUsers"]) {
      const answer = Buffer.from(await (await fetch(`${url}/${method}`, { method: "POST", headers, body })).bytes());
      expectBadInput((JSON.parse(String(answer.subarray(5))) as { error: ErrorJson }).error);
    }
  });
});

test("where no time is left, nobody reads it", async () => {
  const headers = { "content-type": "application/proto", "connect-timeout-ms": "0" };
  const response = await fetch(`${await startGateway()}/GetUser`, { method: "POST", headers, body: BROKEN });
  expect(response.status).toBe(504);
});

test("in gRPC-Web it is INTERNAL, as in gRPC", async () => {
  const headers = { "content-type": "application/grpc-web+proto" };
  const url = `${await startGateway()}/GetUser`;
  const answer = await (await fetch(url, { method: "POST", headers, body: envelope(BROKEN) })).text();
  expect(answer).toMatch(/grpc-status: 13/);
});

test.each([
  ["no encoding", "message=%7B%7D", 415],
  ["an encoding that there is not", "encoding=xml&message=%7B%7D", 415],
  ["a compression that there is not", "encoding=json&compression=br&message=%7B%7D", 501],
  ["another version of Connect", "encoding=json&message=%7B%22id%22:%22nobody%22%7D&connect=v2", 404],
  ["a message in base64", `encoding=proto&base64=1&message=${MESSAGE.toString("base64url")}`, 404],
  [
    "a message in gzip",
    `encoding=proto&base64=1&compression=gzip&message=${gzipSync(MESSAGE).toString("base64url")}`,
    404,
  ],
])("GET with %s is answered with its own status", async (_, query, status) => {
  expect((await fetch(`${await startGateway()}/GetUser?${query}`)).status).toBe(status);
});
