import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import {
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  type JWTPayload,
  SignJWT,
} from "jose";
import { onTestFinished } from "vitest";

/** A key pair that signs tokens. */
export interface TokenKey {
  readonly alg: string;
  readonly kid: string;
  /** The public half, as a JWKS shows it. */
  readonly jwk: JWK;
  /** The public half, as PEM. */
  readonly pem: string;
  /** Signs claims, with a header beside `alg` and `kid`, or in their place. */
  sign(claims: JWTPayload, header?: Partial<JWTHeaderParameters>): Promise<string>;
}

/** Makes a key for an algorithm. It names itself in its tokens. */
export async function makeTokenKey(alg = "ES256", kid = `${alg}-key`): Promise<TokenKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    alg,
    kid,
    jwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" },
    pem: await exportSPKI(publicKey),
    sign: (claims, header) => new SignJWT(claims).setProtectedHeader({ alg, kid, ...header }).sign(privateKey),
  };
}

/** Claims of a token that is good for ten minutes. */
export function goodClaims(claims: JWTPayload = {}): JWTPayload {
  return { sub: "alice", role: "admin", exp: Math.floor(Date.now() / 1000) + 600, ...claims };
}

/** Somebody who publishes keys. */
export interface Issuer {
  readonly url: string;
  /** What is published. */
  keys: readonly JWK[];
  /** Answers in place of the keys, while it is set. */
  answer: RequestListener | undefined;
  /** How often the keys were asked for. */
  readonly fetches: number;
}

/** Publishes keys on a free port until the test is finished. */
export async function startIssuer(...keys: readonly TokenKey[]): Promise<Issuer> {
  let fetches = 0;
  const issuer = {
    url: "",
    keys: keys.map(({ jwk }) => jwk) as readonly JWK[],
    answer: undefined as RequestListener | undefined,
    get fetches() {
      return fetches;
    },
  };
  const server = createServer((request, response) => {
    fetches++;
    if (issuer.answer !== undefined) issuer.answer(request, response);
    else response.setHeader("content-type", "application/json").end(JSON.stringify({ keys: issuer.keys }));
  });
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  issuer.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  return issuer;
}

/** An answer that says that the issuer cannot. */
export const broken: RequestListener = (_request, response) => void response.writeHead(503).end();
