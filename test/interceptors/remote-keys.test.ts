import type { ServerResponse } from "node:http";
import { setImmediate } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import type { JWK } from "jose";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TokenKeysUnavailableError } from "../../src/grpc/errors.ts";
import { fetchKeys } from "../../src/interceptors/fetch-keys.ts";
import { RemoteKeys } from "../../src/interceptors/remote-keys.ts";
import { broken, makeTokenKey, startIssuer } from "../support/issuer.ts";

const one = await makeTokenKey("ES256", "one");
const two = await makeTokenKey("ES256", "two");
const SECOND = 1000;

/** Keys of an issuer that does as the test says. */
function start(...published: JWK[]) {
  const issuer = { published, away: false, fetches: 0 };
  const said: string[] = [];
  const keys = new RemoteKeys(
    async () => {
      issuer.fetches++;
      if (issuer.away) throw new Error("nobody answers");
      return issuer.published;
    },
    { onFound: () => said.push("found"), onLost: (cause) => said.push(String(cause)) },
  );
  /** Whether a key is known, or what is said of it. */
  const find = (kid: string) =>
    keys.find({ alg: "ES256", kid }).then(
      () => "known",
      (error: unknown) => (error instanceof TokenKeysUnavailableError ? "unavailable" : "unknown"),
    );
  return { issuer, keys, find, said };
}

describe("RemoteKeys", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date", "performance"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("are fetched once for all who ask at a time", async () => {
    const { issuer, find } = start(one.jwk);
    expect(await Promise.all(["one", "one", "two"].map(find))).toEqual(["known", "known", "unknown"]);
    expect(issuer.fetches).toBe(1);
  });

  it("are fetched again for a key that is not known", async () => {
    const { issuer, find } = start(one.jwk);
    await find("one");
    issuer.published = [two.jwk];
    vi.advanceTimersByTime(30 * SECOND);
    expect(await Promise.all(["two", "two", "one"].map(find))).toEqual(["known", "known", "known"]);
    expect(issuer.fetches).toBe(2);
    expect(await find("one")).toBe("unknown");
  });

  it("are fetched for unknown keys every 30 s at most, however many are made up", async () => {
    const { issuer, find } = start(one.jwk);
    await find("one");
    vi.advanceTimersByTime(30 * SECOND);
    for (let second = 0; second < 30; second++) {
      for (let index = 0; index < 10; index++) expect(await find(`made up ${second} ${index}`)).toBe("unknown");
      vi.advanceTimersByTime(SECOND);
    }
    expect(issuer.fetches).toBe(2);
  });

  it("are fetched again after 5 minutes, and let go of a key that is gone", async () => {
    const { issuer, find, keys } = start(one.jwk, two.jwk);
    await find("one");
    expect(keys.trustedForMs()).toBe(300 * SECOND);
    issuer.published = [two.jwk];
    vi.advanceTimersByTime(240 * SECOND);
    expect(await find("one")).toBe("known");
    expect(keys.trustedForMs()).toBe(60 * SECOND);
    expect(issuer.fetches).toBe(1);
    vi.advanceTimersByTime(60 * SECOND);
    expect(await find("one")).toBe("unknown");
    expect(issuer.fetches).toBe(2);
  });

  it("are fetched aside in their last minute, so that nobody waits", async () => {
    const { issuer, find, keys } = start(one.jwk);
    await find("one");
    vi.advanceTimersByTime(241 * SECOND);
    expect(await find("one")).toBe("known");
    expect(issuer.fetches).toBe(2);
    await setImmediate();
    expect(keys.trustedForMs()).toBe(300 * SECOND);
  });

  it("go on being used at any age while the issuer is away, and nobody can say what an unknown key is", async () => {
    const { issuer, find, keys, said } = start(one.jwk);
    await find("one");
    issuer.away = true;
    vi.advanceTimersByTime(24 * 3600 * SECOND);
    expect(await find("one")).toBe("known");
    expect(await find("two")).toBe("unavailable");
    expect(keys.trustedForMs()).toBe(5 * SECOND);
    expect(issuer.fetches).toBe(2);
    vi.advanceTimersByTime(5 * SECOND);
    expect(await find("one")).toBe("known");
    expect(issuer.fetches).toBe(3);

    issuer.away = false;
    issuer.published = [two.jwk];
    vi.advanceTimersByTime(5 * SECOND);
    expect(await find("two")).toBe("known");
    expect(await find("one")).toBe("unknown");
    expect(said).toEqual(["found", "Error: nobody answers", "Error: nobody answers", "found"]);
  });

  it("let nobody wait who has a key, once the issuer is known to be away", async () => {
    const never = new Promise<JWK[]>(() => {});
    const answers = [Promise.resolve([one.jwk]), Promise.reject(new Error("nobody answers")), never];
    const keys = new RemoteKeys(() => answers.shift() ?? never, { onFound() {}, onLost() {} });
    for (let time = 0; time < 3; time++) {
      expect(await keys.find({ alg: "ES256", kid: "one" })).toBeDefined();
      vi.advanceTimersByTime(300 * SECOND);
    }
    expect(answers).toEqual([]);
  });

  it("cannot be told before they were ever fetched", async () => {
    const { issuer, find } = start(one.jwk);
    issuer.away = true;
    expect(await Promise.all(["one", "two"].map(find))).toEqual(["unavailable", "unavailable"]);
    expect(await find("one")).toBe("unavailable");
    expect(issuer.fetches).toBe(1);
    issuer.away = false;
    vi.advanceTimersByTime(5 * SECOND);
    expect(await find("one")).toBe("known");
  });
});

describe("fetchKeys", () => {
  it("fetches what is published", async () => {
    const issuer = await startIssuer(one);
    expect(await fetchKeys(new URL(issuer.url))).toMatchObject([{ kid: "one" }]);
  });

  it.each<[string, Parameters<typeof startAnswering>[0]]>([
    ["another status", broken],
    ["a redirect", (_request, response) => void response.writeHead(302, { location: "/elsewhere" }).end()],
    ["no JSON", (_request, response) => void response.end("<html>")],
    ["too much", (_request, response) => void response.end(`{"keys":[],"more":"${"x".repeat(256 * 1024)}"}`)],
    ["too much, packed", (_request, response) => pack(response, `{"keys":[],"more":"${"x".repeat(1024 * 1024)}"}`)],
    [
      "half an answer",
      (_request, response) => void response.writeHead(200, { "content-length": 9 }).end("{}").destroy(),
    ],
  ])("fails at %s, after one request", async (_what, answer) => {
    const issuer = await startAnswering(answer);
    await expect(fetchKeys(new URL(issuer.url))).rejects.toThrow();
    expect(issuer.fetches).toBe(1);
  });
});

function pack(response: ServerResponse, text: string): void {
  response.setHeader("content-encoding", "gzip").end(gzipSync(text));
}

async function startAnswering(answer: NonNullable<Awaited<ReturnType<typeof startIssuer>>["answer"]>) {
  const issuer = await startIssuer();
  issuer.answer = answer;
  return issuer;
}
