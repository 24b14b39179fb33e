import type { Message } from "@bufbuild/protobuf";
import type { UnaryRequest, UnaryResponse } from "@connectrpc/connect";
import type { Client, ServiceError } from "@grpc/grpc-js";
import { pathOf } from "../contract/path.ts";
import { toConnectError } from "./call-error.ts";
import type { CallScope } from "./call-scope.ts";
import { cancelWith } from "./cancel.ts";
import { toHeaders, toMetadata } from "./metadata.ts";
import { asIs, decoderOf, encode } from "./wire.ts";

/** Makes a unary call. */
export function callUnary(client: Client, request: UnaryRequest, scope: CallScope): Promise<UnaryResponse> {
  const { service, method, message, header } = request;
  return new Promise((resolve, reject) => {
    let failure: ServiceError | null = null;
    let response: Message | undefined;
    let responseHeader = new Headers();
    const call = client.makeUnaryRequest(
      pathOf(method),
      asIs,
      decoderOf(method.output),
      encode(method.input, message),
      toMetadata(header),
      { deadline: scope.deadline },
      (error, value) => {
        failure = error;
        response = value;
      },
    );
    scope.handOver();
    cancelWith(call, scope.signal);
    call.on("metadata", (metadata) => {
      responseHeader = toHeaders(metadata);
      scope.notes.add(responseHeader);
    });
    // Comes after the callback, always.
    call.on("status", (status) => {
      const trailer = toHeaders(status.metadata);
      scope.notes.add(trailer);
      if (failure !== null || response === undefined) reject(toConnectError(failure ?? status, responseHeader));
      else
        resolve({
          stream: false,
          service,
          method,
          message: response,
          header: responseHeader,
          trailer,
        });
    });
  });
}
