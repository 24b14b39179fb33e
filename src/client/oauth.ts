import { Code, ConnectError } from "@connectrpc/connect";
import {
  allowInsecureRequests,
  ClientSecretBasic,
  ClientSecretPost,
  clientCredentialsGrantRequest,
  processClientCredentialsResponse,
  ResponseBodyError,
  type TokenEndpointResponse,
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
  /** Where the secret is sent: in the Authorization header, as every server takes it (RFC 6749, 2.3.1), or in the body. `basic` by default. */
  readonly authentication?: "basic" | "post";
}

/** A token that does not say for how long it is good, is used for so long. */
const UNSTATED_LIFETIME_S = 60;
/** A token is replaced so long before it expires, or when nine tenths of its time are over if that is later. */
const EARLY_MS = 60_000;
const EARLY_SHARE = 0.1;
const TIMEOUT_MS = 10_000;

interface Held {
  readonly token: string;
  readonly freshUntilMs: number;
  readonly expiresAtMs: number;
}

/**
 * Makes a token provider for a client: `createUserClient(address, { token: clientCredentials({ ... }) })`. It gets tokens by the client
 * credentials grant of OAuth 2.0 (RFC 6749, 4.4), keeps each until shortly before it expires, and asks for one at a time,
 * however many calls wait.
 *
 * What it throws, calls fail with: UNAVAILABLE if the authorization server cannot be reached, or does not answer as it should,
 * UNAUTHENTICATED if it refuses. While the token of before is good, that one is used instead.
 */
export function clientCredentials(options: ClientCredentials): () => Promise<string> {
  let held: Held | undefined;
  let fetching: Promise<Held> | undefined;
  return async () => {
    if (held !== undefined && Date.now() < held.freshUntilMs) return held.token;
    fetching ??= fetchToken(options).finally(() => {
      fetching = undefined;
    });
    try {
      held = await fetching;
    } catch (error) {
      if (held === undefined || Date.now() >= held.expiresAtMs) throw error;
    }
    return held.token;
  };
}

async function fetchToken(options: ClientCredentials): Promise<Held> {
  const askedAtMs = Date.now();
  const response = await request(options);
  const lifetimeMs = (response.expires_in ?? UNSTATED_LIFETIME_S) * 1000;
  return {
    token: response.access_token,
    freshUntilMs: askedAtMs + lifetimeMs - Math.min(EARLY_MS, lifetimeMs * EARLY_SHARE),
    expiresAtMs: askedAtMs + lifetimeMs,
  };
}

async function request(options: ClientCredentials): Promise<TokenEndpointResponse> {
  const { clientId, clientSecret, scope, audience, authentication = "basic" } = options;
  const endpoint = new URL(options.tokenEndpoint);
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

/** The cause stays with the error, for who looks; the message says nothing that the authorization server has not said. */
function toConnectError(error: unknown): ConnectError {
  const refused = error instanceof ResponseBodyError && error.status < 500 && error.status !== 429;
  const [message, code] = refused
    ? [`the authorization server refuses: ${error.error}`, Code.Unauthenticated]
    : ["the authorization server does not answer", Code.Unavailable];
  return new ConnectError(message, code, undefined, undefined, error);
}
