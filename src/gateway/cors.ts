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
 * stands for all. Of a preflight it says whether the page may call, and leaves it to be answered with no more than the
 * headers that it has set; of other requests it says nothing. Nobody is allowed to send cookies: nothing here reads them.
 */
export function createCors(
  origins: readonly string[],
): (
  request: Pick<IncomingMessage, "headers" | "method">,
  response: ServerResponse,
) => "allowed" | "refused" | undefined {
  const allowed = new Set(origins);
  const anybody = allowed.has("*");
  return ({ headers, method }, response) => {
    const { origin } = headers;
    if (allowed.size > 0 && !anybody) response.setHeader("vary", "origin");
    const preflight = method === "OPTIONS" && headers["access-control-request-method"] !== undefined;
    const mayCall = origin !== undefined && (anybody || allowed.has(origin));
    if (mayCall) {
      response.setHeader("access-control-allow-origin", anybody ? "*" : origin);
      response.setHeader("access-control-expose-headers", EXPOSED_HEADERS);
      if (preflight) {
        response.setHeader("access-control-allow-methods", ALLOWED_METHODS);
        response.setHeader("access-control-allow-headers", ALLOWED_HEADERS);
        response.setHeader("access-control-max-age", MAX_AGE_SECONDS);
      }
    }
    if (!preflight) return undefined;
    return mayCall ? "allowed" : "refused";
  };
}
