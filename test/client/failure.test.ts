import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { readFailure } from "../../src/client/failure.ts";
import { createFake, failing } from "../../src/testing/testing.ts";
import { publishedClient } from "../support/client.ts";
import { startTestServer } from "../support/server.ts";

/** What a call throws. */
async function thrownBy(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => expect.fail("the call succeeded"),
    (reason: unknown) => reason,
  );
}

describe("readFailure", () => {
  it("tells why a call failed", async () => {
    const client = publishedClient(await startTestServer());
    const headers = { "x-request-id": "mine" };
    expect(readFailure(await thrownBy(client.getUser({ id: "nobody" }, { headers })))).toEqual({
      code: "NOT_FOUND",
      message: "no such user",
      reason: "USER_NOT_FOUND",
      domain: "user.v1",
      facts: {},
      violations: [],
      resource: { type: "user.v1.User", name: "nobody" },
      retryDelayMs: undefined,
      requestId: "mine",
    });
    expect(readFailure(await thrownBy(client.createUsers([{ email: "", name: "x" }])))).toMatchObject({
      code: "INVALID_ARGUMENT",
      violations: [
        { field: "messages[0].email", reason: "STRING_MIN_BYTES", description: expect.stringMatching(/byte/) },
      ],
    });
  });

  it("tells when to call again", async () => {
    await using fake = await createFake({ deleteUser: failing({ code: "UNAVAILABLE", retryDelayMs: 1500 }) });
    const failure = readFailure(await thrownBy(publishedClient(fake).deleteUser({ id: "ada" })));
    expect(failure).toMatchObject({ code: "UNAVAILABLE", retryDelayMs: 1500, reason: undefined });
  });

  it("makes do with any error", () => {
    expect(readFailure(new ConnectError("gone", Code.Canceled))).toMatchObject({ code: "CANCELLED", message: "gone" });
    expect(readFailure(new TypeError("no"))).toMatchObject({ code: "UNKNOWN", violations: [] });
    expect(readFailure(undefined)).toMatchObject({ code: "UNKNOWN" });
  });
});
