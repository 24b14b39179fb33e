import { base64Decode } from "@bufbuild/protobuf/wire";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";

/** As in the errors of the server. */
const BAD_INPUT = { desc: ErrorInfoSchema, value: { reason: "INVALID_REQUEST", domain: "user.v1" } } as const;

/**
 * Makes of an error that Connect's handlers have found in a request what bad input is elsewhere: INVALID_ARGUMENT, with
 * an ErrorInfo. They call it INTERNAL if it lies in the bytes, as gRPC does: in gRPC and gRPC-Web it stays that.
 */
export function blameRequest(error: unknown, { protocolName }: Pick<HandlerContext, "protocolName">): void {
  if (!(error instanceof ConnectError)) return;
  if (error.code === Code.Internal && protocolName === "connect") Object.assign(error, { code: Code.InvalidArgument });
  if (error.code === Code.InvalidArgument && error.details.length === 0) error.details.push(BAD_INPUT);
}

/**
 * Refuses a GET request whose message is said to be in base64 and is not, for which Connect's handlers blame themselves.
 * See https://connectrpc.com/docs/protocol#unary-get-request.
 *
 * @throws ConnectError with INVALID_ARGUMENT.
 */
export function checkQuery({ requestMethod, url }: Pick<HandlerContext, "requestMethod" | "url">): void {
  if (requestMethod !== "GET") return;
  const query = new URL(url).searchParams;
  if (query.get("base64") !== "1") return;
  try {
    base64Decode(query.get("message") ?? "");
  } catch {
    throw new ConnectError("the message is not in base64", Code.InvalidArgument);
  }
}

/** The messages of a request, and the error that ends them where they cannot be read. */
export async function* readable<T>(messages: AsyncIterable<T>, context: HandlerContext): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    blameRequest(error, context);
    throw error;
  }
}
