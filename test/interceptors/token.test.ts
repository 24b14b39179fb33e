import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Principal } from "../../src/domain/principal.ts";
import { UnauthenticatedError } from "../../src/grpc/errors.ts";
import { signToken, TokenVerifier } from "../../src/interceptors/token.ts";
import { createTokenKeys } from "../../src/interceptors/token-keys.ts";

const SECRET = Buffer.from("a secret that only the tests know!");
const reports = { onFound() {}, onLost() {} };
const options = { keys: createTokenKeys({ kind: "secret", secret: SECRET }, reports) };

async function authorize(principal: Principal, secret = SECRET): Promise<string> {
  return `Bearer ${await signToken({ secret }, principal, 60)}`;
}

const alice = { id: "alice", role: "user" } as const;

describe("TokenVerifier", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("remembers a token that it has verified, until the token expires", async () => {
    const verifier = new TokenVerifier(options);
    const authorization = await authorize(alice);
    expect(verifier.remembered(authorization)).toBeUndefined();
    expect(await verifier.verify(authorization)).toMatchObject({ principal: alice });
    expect(verifier.remembered(authorization)).toMatchObject({ principal: alice });

    vi.setSystemTime(Date.now() + 65_000);
    expect(verifier.remembered(authorization)).toBeUndefined();
    await expect(verifier.verify(authorization)).rejects.toThrow(UnauthenticatedError);
  });

  it("does not remember a token that it has refused", async () => {
    const verifier = new TokenVerifier(options);
    const authorization = await authorize(alice, Buffer.from("a secret that somebody else knows"));
    await expect(verifier.verify(authorization)).rejects.toThrow(UnauthenticatedError);
    expect(verifier.remembered(authorization)).toBeUndefined();
  });

  it("forgets the oldest token when it remembers too many", async () => {
    const verifier = new TokenVerifier({ ...options, cacheSize: 2 });
    const authorizations = await Promise.all(["a", "b", "c"].map((id) => authorize({ id, role: "user" })));
    for (const authorization of authorizations) await verifier.verify(authorization);
    expect(authorizations.map((authorization) => verifier.remembered(authorization)?.principal.id)).toEqual([
      undefined,
      "b",
      "c",
    ]);
  });
});
