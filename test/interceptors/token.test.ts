import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { UnauthenticatedError } from "../../src/grpc/errors.ts";
import { signToken, TokenVerifier } from "../../src/interceptors/token.ts";

const options = { secret: Buffer.from("a secret that only the tests know!") };
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
    const token = await signToken(options, alice, 60);
    expect(verifier.remembered(token)).toBeUndefined();
    expect(await verifier.verify(token)).toEqual(alice);
    expect(verifier.remembered(token)).toEqual(alice);

    vi.setSystemTime(Date.now() + 60_000);
    expect(verifier.remembered(token)).toBeUndefined();
    await expect(verifier.verify(token)).rejects.toThrow(UnauthenticatedError);
  });

  it("does not remember a token that it has refused", async () => {
    const verifier = new TokenVerifier(options);
    const token = await signToken({ secret: Buffer.from("a secret that somebody else knows") }, alice, 60);
    await expect(verifier.verify(token)).rejects.toThrow(UnauthenticatedError);
    expect(verifier.remembered(token)).toBeUndefined();
  });

  it("forgets the oldest token when it remembers too many", async () => {
    const verifier = new TokenVerifier({ ...options, cacheSize: 2 });
    const tokens = await Promise.all(["a", "b", "c"].map((id) => signToken(options, { id, role: "user" }, 60)));
    for (const token of tokens) await verifier.verify(token);
    expect(tokens.map((token) => verifier.remembered(token)?.id)).toEqual([undefined, "b", "c"]);
  });
});
