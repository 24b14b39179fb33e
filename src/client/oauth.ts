import { Code, ConnectError } from "@connectrpc/connect";
import {
  allowInsecureRequests,
  ClientSecretBasic,
  ClientSecretPost,
  clientCredentialsGrantRequest,
  processClientCredentialsResponse,
  ResponseBodyError,
  type TokenEndpointResponse,
  WWWAuthenticateChallengeError,
} from "oauth4webapi";
import { staysLocal } from "./plain-text.ts";

/** How a service proves to the authorization server who it is, and what for. */
export interface ClientCredentials {
  /** Where tokens are given out. HTTPS, but for this machine. */
  readonly tokenEndpoint: string | URL;
  readonly clientId: string;
  readonly clientSecret: string;
  /** What the token is to allow, separated by spaces. */
  readonly scope?: string;
  /** Whom the token is for, where the authorization server wants to know. */
  readonly audience?: string;
  /**
   * Where the secret is sent: in the Authorization header, as every server takes it (RFC 6749, 2.3.1), or in the body.
   * `basic` by default.
   */
  readonly authentication?: "basic" | "post";
}

/** A token that does not say for how long it is good, is used for so long. */
const UNSTATED_LIFETIME_S = 60;
/** A token is replaced so long before it expires, or when nine tenths of its time are over if that is later. */
const EARLY_MS = 60_000;
const EARLY_SHARE = 0.1;
/** Calls wait for a new token when the one that they have is good for no longer than that; it may expire on its way. */
const LAST_MS = 5000;
/** How long an authorization server that fails is left alone while a token is good. */
const PAUSE_MS = 5000;
const TIMEOUT_MS = 10_000;

interface Held {
  readonly token: string;
  readonly freshUntilMs: number;
  readonly expiresAtMs: number;
}

/**
 * Makes a token provider for a client: `createUserClient(address, { token: clientCredentials({ ... }) })`. It gets
 * tokens by the client credentials grant of OAuth 2.0 (RFC 6749, 4.4), keeps each until shortly before it expires, and
 * asks for one at a time, however many calls wait. No call waits for the next one while the last one is good.
 *
 * What it throws, calls fail with: UNAVAILABLE if the authorization server cannot be reached, or does not answer as it
 * should, UNAUTHENTICATED if it refuses.
 *
 * @throws TypeError if the endpoint is no URL, or would have the secret sent in plain text.
 */
export function clientCredentials(options: ClientCredentials): () => Promise<string> {
  const endpoint = readEndpoint(options.tokenEndpoint);
  let held: Held | undefined;
  let fetching: Promise<Held> | undefined;
  const renew = async (): Promise<Held> => {
    try {
      held = await fetchToken(endpoint, options);
    } catch (error) {
      const now = Date.now();
      if (held === undefined || now >= held.expiresAtMs) throw error;
      held = { ...held, freshUntilMs: Math.min(now + PAUSE_MS, held.expiresAtMs) };
    } finally {
      fetching = undefined;
    }
    return held;
  };
  return async () => {
    const known = held;
    if (known !== undefined && Date.now() < known.freshUntilMs) return known.token;
    fetching ??= renew();
    if (known === undefined || Date.now() >= known.expiresAtMs - LAST_MS) return (await fetching).token;
    // Who finds no token that is good is told.
    fetching.catch(() => {});
    return known.token;
  };
}

function readEndpoint(tokenEndpoint: string | URL): URL {
  const endpoint = new URL(tokenEndpoint);
  if (endpoint.protocol === "https:" || staysLocal(endpoint.host)) return endpoint;
  throw new TypeError(`the token endpoint ${endpoint.origin} must be one of HTTPS`);
}

async function fetchToken(endpoint: URL, options: ClientCredentials): Promise<Held> {
  const askedAtMs = Date.now();
  const response = await request(endpoint, options);
  const lifetimeMs = (response.expires_in ?? UNSTATED_LIFETIME_S) * 1000;
  return {
    token: response.access_token,
    freshUntilMs: askedAtMs + lifetimeMs - Math.min(EARLY_MS, lifetimeMs * EARLY_SHARE),
    expiresAtMs: askedAtMs + lifetimeMs,
  };
}

async function request(endpoint: URL, options: ClientCredentials): Promise<TokenEndpointResponse> {
  const { clientId, clientSecret, scope, audience, authentication = "basic" } = options;
  const server = { issuer: endpoint.origin, token_endpoint: endpoint.href };
  const client = { client_id: clientId };
  const secret = authentication === "basic" ? ClientSecretBasic(clientSecret) : ClientSecretPost(clientSecret);
  const parameters = { ...(scope !== undefined && { scope }), ...(audience !== undefined && { audience }) };
  try {
    const response = await clientCredentialsGrantRequest(server, client, secret, parameters, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
      [allowInsecureRequests]: staysLocal(endpoint.host),
    });
    return await processClientCredentialsResponse(server, client, response);
  } catch (error) {
    throw toConnectError(error);
  }
}

/**
 * The cause stays with the error, for who looks; the message says nothing that the authorization server has not said.
 */
function toConnectError(error: unknown): ConnectError {
  return new ConnectError(...explain(error), undefined, undefined, error);
}

function explain(error: unknown): [message: string, code: Code] {
  const refusal = "the authorization server refuses";
  if (error instanceof WWWAuthenticateChallengeError) return [`${refusal}: ${error.status}`, Code.Unauthenticated];
  if (error instanceof ResponseBodyError && error.status < 500 && error.status !== 429)
    return [`${refusal}: ${error.error}`, Code.Unauthenticated];
  return ["the authorization server does not answer", Code.Unavailable];
}
