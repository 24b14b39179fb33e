/** Helps to test programs that use the client. */
import { fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import {
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { createUserClient, type UserClient, type UserClientOptions } from "./client.ts";
import { UserService } from "./gen/user/v1/user_service_pb.ts";

/** The service as grpc-js defines it, with messages of protobuf-es. */
export const userServiceDefinition: ServiceDefinition = Object.fromEntries(
  UserService.methods.map(({ localName, parent, name, methodKind, input, output }) => {
    const definition: MethodDefinition<Message, Message> = {
      path: `/${parent.typeName}/${name}`,
      requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
      responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
      requestSerialize: (message) => Buffer.from(toBinary(input, message)),
      requestDeserialize: (bytes) => fromBinary(input, bytes),
      responseSerialize: (message) => Buffer.from(toBinary(output, message)),
      responseDeserialize: (bytes) => fromBinary(output, bytes),
    };
    return [localName, definition];
  }),
);

/** A fake of the service, and a client of it. */
export interface Fake extends AsyncDisposable {
  readonly client: UserClient;
}

/** Serves handlers of grpc-js, by the names of the client's methods, on a free port until the fake is disposed of. */
export async function startFake(handlers: UntypedServiceImplementation, options?: UserClientOptions): Promise<Fake> {
  const server = new Server();
  server.addService(userServiceDefinition, handlers);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
    error === null ? resolve(port) : reject(error),
  );
  const client = createUserClient(`127.0.0.1:${await promise}`, options);
  return {
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      server.forceShutdown();
    },
  };
}
