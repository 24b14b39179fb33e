import { type DescMethod, type DescService, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { type MethodDefinition, Server, ServerCredentials, type UntypedHandleCall } from "@grpc/grpc-js";
import { onTestFinished } from "vitest";

/** Starts a server of grpc-js alone, with none of this project in it, and returns its address. It is stopped after the test. */
export async function startBareServer(
  service: DescService,
  handlers: Readonly<Record<string, UntypedHandleCall>>,
): Promise<{ address: string }> {
  const served = service.methods.filter(({ localName }) => handlers[localName] !== undefined);
  const server = new Server();
  server.addService(Object.fromEntries(served.map((method) => [method.localName, toDefinition(method)])), handlers);
  onTestFinished(() => server.forceShutdown());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return { address: `127.0.0.1:${port}` };
}

function toDefinition({ parent, name, methodKind, input, output }: DescMethod): MethodDefinition<Message, Message> {
  return {
    path: `/${parent.typeName}/${name}`,
    requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
    responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
    requestSerialize: (request) => Buffer.from(toBinary(input, request)),
    requestDeserialize: (bytes) => fromBinary(input, bytes),
    responseSerialize: (response) => Buffer.from(toBinary(output, response)),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
  };
}
