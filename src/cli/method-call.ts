import {
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  fromJson,
  type JsonValue,
  type Message,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { EX_UNAVAILABLE } from "../exit-codes.ts";
import { UserService } from "../gen/user/v1/user_service_pb.ts";
import { CommandError, UsageError } from "./command.ts";
import { findReflection } from "./reflection.ts";
import { streamOf } from "./stream-of.ts";

/** A method that is called again and again, with the same requests. */
export interface MethodCall {
  readonly method: DescMethod;
  readonly requests: readonly Message[];
}

/**
 * Finds the method of this name, such as `user.v1.UserService/GetUser` or, of our service, `GetUser`: those of others
 * by the reflection of the server.
 *
 * @throws CommandError if there is none.
 */
export async function findMethod(transport: Transport, name: string): Promise<DescMethod> {
  const [, service = UserService.typeName, method = ""] = /^\/?(?:([\w.]+)\/)?(\w+)$/.exec(name) ?? [];
  if (method === "") throw new UsageError("--method must be a method, such as user.v1.UserService/GetUser");
  const own = UserService.methods.find((each) => each.name === method);
  if (service === UserService.typeName && own !== undefined) return own;
  try {
    const reflection = await findReflection(transport);
    if (reflection !== undefined) return await reflection.method(service, method);
  } catch (error) {
    if (ConnectError.from(error).code === Code.NotFound) throw new UsageError(`the server has no method ${name}`);
    throw error;
  }
  throw new CommandError(EX_UNAVAILABLE, `the server has no reflection, which is to tell what ${name} takes`);
}

/**
 * Reads requests of a method from their JSON form (https://protobuf.dev/programming-guides/json/): one message, or for
 * a method that streams them, an array.
 *
 * @throws UsageError if that is not what the method takes.
 */
export function readRequests({ name, input, methodKind }: DescMethod, text: string): Message[] {
  try {
    const json = JSON.parse(text) as JsonValue;
    const streams = methodKind === "client_streaming" || methodKind === "bidi_streaming";
    const messages = streams && Array.isArray(json) ? json : [json];
    return messages.map((message) => fromJson(input, message));
  } catch (error) {
    throw new UsageError(`--data is not what ${name} takes: ${error instanceof Error ? error.message : error}`);
  }
}

/** Makes a call of whichever kind, and reads all that comes back. */
export async function callMethod(transport: Transport, call: MethodCall, signal: AbortSignal): Promise<void> {
  const { method, requests } = call;
  if (method.methodKind === "unary") {
    await transport.unary(method as DescMethodUnary, signal, undefined, undefined, requests[0] ?? {});
    return;
  }
  const streaming = method as DescMethodStreaming;
  const { message: responses } = await transport.stream(streaming, signal, undefined, undefined, streamOf(...requests));
  for await (const _ of responses);
}
