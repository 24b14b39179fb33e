import { ConnectError, type StreamRequest, type StreamResponse } from "@connectrpc/connect";
import type { Client } from "@grpc/grpc-js";
import { pathOf } from "../contract/path.ts";
import type { CallScope } from "./call-scope.ts";
import { cancelWith } from "./cancel.ts";
import { toMetadata } from "./metadata.ts";
import { sendRequests } from "./request-stream.ts";
import { ResponseStream } from "./response-stream.ts";
import { asIs, decoderOf, encode } from "./wire.ts";

/**
 * Makes a call that streams requests, responses or both; on the wire they are all alike. Resolves with the response
 * headers, while requests are sent already.
 */
export async function callStreaming(client: Client, request: StreamRequest, scope: CallScope): Promise<StreamResponse> {
  const { service, method, message, header } = request;
  const call = client.makeBidiStreamRequest(pathOf(method), asIs, decoderOf(method.output), toMetadata(header), {
    deadline: scope.deadline,
  });
  const responses = new ResponseStream(call, scope);
  scope.handOver();
  cancelWith(call, scope.signal);
  const sending = sendRequests(call, message, (each) => encode(method.input, each), responses.ended);
  sending.catch((error: unknown) => scope.abort(ConnectError.from(error)));
  return {
    stream: true,
    service,
    method,
    message: responses,
    header: await responses.header,
    trailer: responses.trailer,
  };
}
