import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { InvalidInputError } from "../../src/domain/errors.ts";
import { pageTokens } from "../../src/service/sealed-tokens.ts";

const KEY = Buffer.alloc(32, 1);
const ID = "018f2b3c-4d5e-7f60-8a9b-0c1d2e3f4a5b";
const BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const tokens = pageTokens(() => KEY);

function isRefused(token: string, by = tokens): boolean {
  try {
    by.open(token);
    return false;
  } catch (error) {
    if (error instanceof InvalidInputError) return true;
    throw error;
  }
}

describe("pageTokens", () => {
  it.each([ID, "x", "用户", "a".repeat(128), "with spaces and \u0000"])("opens the token of %j", (id) => {
    expect(tokens.open(tokens.seal(id))).toBe(id);
  });

  it("makes tokens that need no escaping in a URL or in metadata", () => {
    for (let length = 1; length < 50; length++) expect(tokens.seal("~".repeat(length))).toMatch(/^[\w-]+$/);
  });

  it("makes the same token of the same id, so that replicas with one key agree", () => {
    const replica = pageTokens(() => Buffer.from(KEY));
    expect(replica.seal(ID)).toBe(tokens.seal(ID));
    expect(replica.open(tokens.seal(ID))).toBe(ID);
  });

  it("refuses a token in which any character is another", () => {
    // Of three lengths, so that the last character holds 6, 4 and 2 bits of the token.
    for (const token of [tokens.seal(ID), tokens.seal(`${ID}1`), tokens.seal(`${ID}12`)]) {
      const accepted: string[] = [];
      for (let position = 0; position < token.length; position++) {
        for (const character of `${BASE64URL}+/=. \u0000é`) {
          const changed = token.slice(0, position) + character + token.slice(position + 1);
          if (changed !== token && !isRefused(changed)) accepted.push(changed);
        }
      }
      expect(accepted).toEqual([]);
    }
  });

  it("refuses a token that is cut or longer", () => {
    const token = tokens.seal(ID);
    for (let length = 0; length < token.length; length++) {
      expect(isRefused(token.slice(0, length)), `cut to ${length}`).toBe(true);
      expect(isRefused(token.slice(token.length - length)), `the last ${length}`).toBe(true);
    }
    for (const tail of ["A", "AA", "AAAA", "=", "==", " ", "\n", "\u0000", token])
      expect(isRefused(token + tail), JSON.stringify(tail)).toBe(true);
    expect(isRefused(` ${token}`)).toBe(true);
  });

  it("refuses a token of another key", () => {
    expect(
      isRefused(
        tokens.seal(ID),
        pageTokens(() => Buffer.alloc(32, 2)),
      ),
    ).toBe(true);
  });

  it("refuses what the same key authenticates for another purpose", () => {
    const mac = createHmac("sha256", KEY).update(ID).digest().subarray(0, 16);
    expect(isRefused(Buffer.concat([mac, Buffer.from(ID)]).toString("base64url"))).toBe(true);
  });

  it.each([
    ["nothing", ""],
    ["an id", ID],
    ["garbage", "garbage"],
    ["text outside ASCII", "用户☃😀"],
    ["a lone surrogate", "\ud800"],
    ["zeros", "A".repeat(64)],
    ["a token without an id", tokens.seal("")],
    ["a long text", "A".repeat(1_000_000)],
  ])("refuses %s", (_, token) => {
    expect(isRefused(token)).toBe(true);
  });

  it("fails with a violation of page_token", () => {
    expect(() => tokens.open("garbage")).toThrow(
      expect.objectContaining({
        name: "InvalidInputError",
        violations: [
          {
            field: "page_token",
            reason: "PAGE_TOKEN_INVALID",
            description: "must be a token that came with an earlier page of this service",
          },
        ],
      }),
    );
  });
});
