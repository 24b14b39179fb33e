import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

/** A bearer token, or a function that is asked for one at each call. */
export type Token = string | (() => string | Promise<string>);

/**
 * Sends a token with each call that brings no `authorization` of its own. A function that fails fails the call, with
 * UNAUTHENTICATED unless it throws a ConnectError of another code.
 */
export function sendToken(token: Token): Interceptor {
  return (next) => async (request) => {
    if (request.header.has("authorization")) return next(request);
    // A copy: an interceptor that makes the call again asks for another token.
    const header = new Headers(request.header);
    header.set("authorization", `Bearer ${checked(await ask(token))}`);
    return next({ ...request, header });
  };
}

/** Headers and grpc-js show what they do not take, in their errors and on stderr: they must never see it. */
function checked(token: string): string {
  if (/^[ -~]*$/.test(token.trim())) return token;
  throw new ConnectError("the token has characters that no header takes", Code.Unauthenticated);
}

async function ask(token: Token): Promise<string> {
  if (typeof token === "string") return token;
  try {
    return await token();
  } catch (error) {
    throw ConnectError.from(error, Code.Unauthenticated);
  }
}
