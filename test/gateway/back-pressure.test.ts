import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { newUsers, startTestServer, streamOf, userClient } from "../support/server.ts";

/** Together some 13 MB: more than sockets and streams take in on the way. */
const USERS = 800;
const BIO = "x".repeat(16_384);
/** So many other calls meanwhile that the server had the time to send everything. */
const OTHER_CALLS = 50;

test("a page that does not read is not written for, and delays nobody", async () => {
  const server = await startTestServer({ environment: { AUTH: "none", HTTP_PORT: "0" } });
  const users = newUsers(USERS).map((user) => ({ ...user, profile: { bio: BIO } }));
  const { userIds } = await userClient(server).createUsers(streamOf(...users));
  const url = `http://127.0.0.1:${server.server.httpPort}/user.v1.UserService`;

  const listing = request(`${url}/ListUsers`, {
    method: "POST",
    headers: { "content-type": "application/connect+json" },
  });
  const message = JSON.stringify({ streamAll: true });
  listing.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), Buffer.from(message)]));
  const [response] = (await once(listing, "response")) as [IncomingMessage];
  for (let call = 0; call < OTHER_CALLS; call++) {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${url}/GetUser`, {
      method: "POST",
      headers,
      body: JSON.stringify({ id: userIds[call] }),
    });
    expect(answer.status).toBe(200);
    await answer.text();
  }
  expect(server.server.openCalls).toBe(1);
  expect((await text(response)).split('"email"').length - 1).toBe(USERS);
});
