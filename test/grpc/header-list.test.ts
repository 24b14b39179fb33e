import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { headerListSize } from "../../src/grpc/header-list.ts";
import { openRequest } from "../support/raw-http2.ts";
import { ADMIN, startTestServer, tokenFor } from "../support/server.ts";

const GET_USER = "/user.v1.UserService/GetUser";

describe("the headers of a call", () => {
  it("are counted as HTTP/2 counts them", () => {
    expect(headerListSize([":path", "/x", "a", "b", "a", "c"])).toBe(5 + 2 + 32 + 2 * (1 + 1 + 32));
  });

  it.each(["jwt", "none"])(
    "are refused if they are too large, and the connection stays, with AUTH=%s",
    async (auth) => {
      const headers = { authorization: `Bearer ${await tokenFor(ADMIN)}` };
      const { port, logs } = await startTestServer({ environment: { MAX_HEADER_LIST_SIZE: "2000", AUTH: auth } });
      const small = openRequest(port, GET_USER, { ...headers, "x-small": "x".repeat(100) });
      small.stream.end();
      expect((await small.response).headers).toMatchObject({ ":status": 200 });
      const large = openRequest(port, GET_USER, { ...headers, "x-large": "x".repeat(2000) });
      large.stream.end();
      expect((await large.response).headers).toMatchObject({
        ":status": 200,
        "grpc-status": String(status.RESOURCE_EXHAUSTED),
        "grpc-message": encodeURI("the headers of the call are too large"),
      });
      expect(large.stream.session?.closed).toBe(false);
      expect((await logs.waitForCalls(2))[1]).toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    },
  );

  it("are not blamed on a token that could be good", async () => {
    const { port } = await startTestServer();
    const authorization = `Bearer ${"x".repeat(8000)}`;
    const { stream, response } = openRequest(port, GET_USER, { authorization, "x-large": "x".repeat(9000) });
    stream.end();
    expect((await response).headers["grpc-status"]).toBe(String(status.RESOURCE_EXHAUSTED));
  });
});
