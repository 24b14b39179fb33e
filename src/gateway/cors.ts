import type { IncomingMessage, ServerResponse } from "node:http";
import { cors } from "@connectrpc/connect";
import { REQUEST_HEADERS, RESPONSE_HEADERS } from "./forward.ts";

const ALLOWED_METHODS = cors.allowedMethods.join(", ");
const ALLOWED_HEADERS = [...cors.allowedHeaders, ...REQUEST_HEADERS].join(", ");
// Trailers of unary calls come as headers in Connect.
const EXPOSED_HEADERS = [
  ...cors.exposedHeaders,
  ...RESPONSE_HEADERS,
  ...RESPONSE_HEADERS.map((name) => `trailer-${name}`),
].join(", ");
/** How long browsers may remember what they are allowed, in seconds; Chromium takes no more. */
const MAX_AGE_SECONDS = "7200";

/**
 * Lets scripts of the pages at `origins` call and read (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol); `*`
 * stands for all. Answers a preflight itself, and says so by returning true. Nobody is allowed to send cookies: nothing
 * here reads them.
 */
export function createCors(
  origins: readonly string[],
): (request: Pick<IncomingMessage, "headers" | "method">, response: ServerResponse) => boolean {
  const allowed = new Set(origins);
  const anybody = allowed.has("*");
  return ({ headers, method }, response) => {
    const { origin } = headers;
    if (allowed.size > 0 && !anybody) response.setHeader("vary", "origin");
    const preflight = method === "OPTIONS" && headers["access-control-request-method"] !== undefined;
    if (origin !== undefined && (anybody || allowed.has(origin))) {
      response.setHeader("access-control-allow-origin", anybody ? "*" : origin);
      response.setHeader("access-control-expose-headers", EXPOSED_HEADERS);
      if (preflight) {
        response.setHeader("access-control-allow-methods", ALLOWED_METHODS);
        response.setHeader("access-control-allow-headers", ALLOWED_HEADERS);
        response.setHeader("access-control-max-age", MAX_AGE_SECONDS);
      }
    }
    if (preflight) response.writeHead(204).end();
    return preflight;
  };
}
