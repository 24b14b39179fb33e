import { generateKeyPairSync } from "node:crypto";
import { exportJWK, generateKeyPair } from "jose";
import { describe, expect, it } from "vitest";
import { findKeyIn, readKeySet, readPublicKeys } from "../../src/interceptors/public-keys.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import { makeTokenKey } from "../support/issuer.ts";

const one = await makeTokenKey("ES256", "one");
const two = await makeTokenKey("EdDSA", "two");
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const weak = generateKeyPairSync("rsa", { modulusLength: 2047 }).publicKey;
const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey;
const x25519 = generateKeyPairSync("x25519").publicKey;
const privateJwk = await exportJWK((await generateKeyPair("ES256", { extractable: true })).privateKey);

const spki = { type: "spki", format: "pem" } as const;

describe("readPublicKeys", () => {
  it.each([
    ["SPKI", String(rsa.publicKey.export(spki)), ["RSA"]],
    ["PKCS#1", String(rsa.publicKey.export({ type: "pkcs1", format: "pem" })), ["RSA"]],
    ["SPKI with text around it", `a comment\n\n${one.pem}\n`, ["EC"]],
    ["a JWK", JSON.stringify(two.jwk), ["OKP"]],
    ["a JWKS", ` ${JSON.stringify({ keys: [one.jwk, two.jwk] }, null, 2)}\n`, ["EC", "OKP"]],
  ])("reads %s", (_form, text, types) => {
    expect(readPublicKeys(text).map(({ kty }) => kty)).toEqual(types);
  });

  it("reads the key of an X.509 certificate", async () => {
    const { root } = await CertificateAuthority.create();
    expect(readPublicKeys(root)).toMatchObject([{ kty: "EC", crv: "P-256" }]);
  });

  it.each([
    ["nothing", "", "one key or certificate"],
    ["two PEMs", one.pem + two.pem, "one key or certificate"],
    ["a broken PEM", one.pem.replace(/\n..../, "\n"), "can be read"],
    ["a private key", String(rsa.privateKey.export({ type: "pkcs8", format: "pem" })), "no private key"],
    ["a private JWK", JSON.stringify(privateJwk), "no private key"],
    ["a symmetric JWK", JSON.stringify({ kty: "oct", k: "c2VjcmV0" }), "no private key"],
    ["RSA of 2047 bits", String(weak.export(spki)), "RSA of 2048 bits or more"],
    ["RSA of 2047 bits in a JWKS", JSON.stringify({ keys: [one.jwk, weak.export({ format: "jwk" })] }), "RSA of 2048"],
    ["another curve", String(p384.export(spki)), "EC P-256 or Ed25519"],
    ["a key that signs nothing", String(x25519.export(spki)), "EC P-256 or Ed25519"],
    ["a JWK for encryption", JSON.stringify({ ...one.jwk, use: "enc" }), "verify signatures"],
    ["a JWK for another operation", JSON.stringify({ ...one.jwk, key_ops: ["encrypt"] }), "verify signatures"],
    ["a JWK for another algorithm", JSON.stringify({ ...one.jwk, alg: "ES512" }), "RS256, PS256, ES256"],
    ["a JWK off its curve", JSON.stringify({ ...one.jwk, y: one.jwk.x }), "can be read"],
    ["broken JSON", "{", "JSON"],
    ["a JWKS without keys", '{"keys":[]}', "must hold a key"],
    ["a JWKS with something else", '{"keys":["key"]}', "objects"],
  ])("refuses %s, and does not show it", (_what, text, fault) => {
    expect(() => readPublicKeys(text)).toThrow(fault);
    try {
      readPublicKeys(text);
    } catch (error) {
      expect(String(error)).not.toContain("MII");
    }
  });
});

describe("readKeySet", () => {
  it("leaves out what is not fit, and keeps of the rest what tokens need", () => {
    const others = [{ ...one.jwk, use: "enc" }, weak.export({ format: "jwk" }), privateJwk, null, "key"];
    const { crv, kty, x, y } = one.jwk;
    const given = JSON.stringify({ keys: [...others, { ...one.jwk, x5u: "http://127.0.0.1/" }] });
    expect(readKeySet(given)).toEqual([{ crv, kty, x, y, kid: "one", alg: "ES256" }]);
  });

  it.each(["", "[]", "null", "{}", '{"keys":{}}'])("refuses %j", (text) => {
    expect(() => readKeySet(text)).toThrow();
  });
});

describe("findKeyIn", () => {
  it("finds a key by the kid and the alg of a token", async () => {
    const find = findKeyIn(readPublicKeys(JSON.stringify({ keys: [one.jwk, two.jwk] })));
    expect((await find({ alg: "ES256", kid: "one" })).algorithm.name).toBe("ECDSA");
    await expect(find({ alg: "ES256", kid: "two" })).rejects.toThrow("no applicable key");
    await expect(find({ alg: "HS256", kid: "one" })).rejects.toThrow();
  });

  it("does not ask for a kid where no key has one", async () => {
    const find = findKeyIn(readPublicKeys(one.pem));
    expect((await find({ alg: "ES256", kid: "any" })).algorithm.name).toBe("ECDSA");
  });
});
