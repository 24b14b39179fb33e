import { Agent, request } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, expect, test } from "vitest";
import { startTestServer } from "../support/server.ts";

const agent = new Agent({ keepAlive: true, maxSockets: 1 });
afterAll(() => agent.destroy());

/** Posts a body, after all that was posted before: the agent has one connection at a time. */
async function post(port: number, method: string, contentType: string, body: Buffer | string) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const path = `/user.v1.UserService/${method}`;
  const headers = { "content-type": contentType };
  const sent = request({ agent, host: "127.0.0.1", port, path, method: "POST", headers }, (response) => {
    text(response).then(resolve, reject);
  });
  sent.once("error", reject).end(body);
  return promise;
}

/** A message of a stream, in JSON, of so many KiB. */
function envelope(kib: number): Buffer {
  const message = JSON.stringify({ chunk: { data: "" } }).padEnd(kib * 1024);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, Buffer.from(message)]);
}

test("a message that is too large is refused, and holds up no other request of its client", async () => {
  const { server } = await startTestServer({ environment: { AUTH: "none", HTTP_PORT: "0" } });
  const port = server.httpPort ?? 0;
  const refused = await post(port, "UploadUserData", "application/connect+json", envelope(8 * 1024));
  expect(refused).toContain("resource_exhausted");
  expect(await post(port, "ListUsersPage", "application/json", "{}")).toBe("{}");
});

test.each([
  ["400 KiB is read", 400, "invalid_argument"],
  ["more than 512 KiB is refused", 513, "resource_exhausted"],
])("of a stream, a message of %s", async (_, kib, code) => {
  const { server } = await startTestServer({ environment: { AUTH: "none", HTTP_PORT: "0" } });
  const answer = await post(server.httpPort ?? 0, "UploadUserData", "application/connect+json", envelope(kib));
  expect(answer).toContain(code);
});
