import { create, createFileRegistry, type DescMethod, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { streamOf } from "./stream-of.ts";

/** The versions of grpc.reflection, which say the same in messages of other names. */
export type ReflectionVersion = "v1" | "v1alpha";

type Question =
  | { case: "listServices"; value: string }
  | { case: "fileContainingSymbol"; value: string }
  | { case: "fileByFilename"; value: string };

/** What a server tells about the services that it serves. */
export class Reflection {
  readonly #transport: Transport;
  readonly #version: ReflectionVersion;

  constructor(transport: Transport, version: ReflectionVersion) {
    this.#transport = transport;
    this.#version = version;
  }

  /**
   * The names of all services.
   *
   * @throws ConnectError with the code UNIMPLEMENTED if the server has no such reflection.
   */
  async services(): Promise<string[]> {
    const answer = await this.#ask({ case: "listServices", value: "" });
    if (answer.case === "listServicesResponse") return answer.value.service.map(({ name }) => name);
    throw new ConnectError("reflection does not answer what it was asked", Code.Internal);
  }

  /**
   * The types and services of the file that declares this name, and of all that it imports.
   *
   * @throws ConnectError with the code NOT_FOUND if no file does.
   */
  async describe(symbol: string): Promise<FileRegistry> {
    const files = new Map<string, FileDescriptorProto>();
    const first = await this.#files({ case: "fileContainingSymbol", value: symbol });
    for (const file of first) files.set(file.name, file);
    // Servers may send the imports along, or wait until they are asked for.
    for (const { dependency } of files.values()) {
      for (const name of dependency) {
        if (files.has(name)) continue;
        for (const file of await this.#files({ case: "fileByFilename", value: name })) files.set(file.name, file);
      }
    }
    const [root] = first;
    if (root === undefined) throw new ConnectError(`reflection has no file for ${symbol}`, Code.Internal);
    return createFileRegistry(create(FileDescriptorSetSchema, { file: inOrder(root, files) }));
  }

  /**
   * A method, by the name of its service and its own.
   *
   * @throws ConnectError with the code NOT_FOUND if there is none.
   */
  async method(service: string, name: string): Promise<DescMethod> {
    const found = (await this.describe(service)).getService(service)?.methods.find((method) => method.name === name);
    if (found !== undefined) return found;
    throw new ConnectError(`${service} has no method ${name}`, Code.NotFound);
  }

  async #files(question: Question): Promise<FileDescriptorProto[]> {
    const answer = await this.#ask(question);
    if (answer.case !== "fileDescriptorResponse") {
      throw new ConnectError("reflection does not answer what it was asked", Code.Internal);
    }
    return answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
  }

  async #ask(messageRequest: Question) {
    const client =
      this.#version === "v1"
        ? createClient(ServerReflection, this.#transport)
        : createClient(ServerReflectionAlpha, this.#transport);
    for await (const { messageResponse } of client.serverReflectionInfo(streamOf({ messageRequest }))) {
      if (messageResponse.case !== "errorResponse") return messageResponse;
      const { errorCode, errorMessage } = messageResponse.value;
      throw new ConnectError(errorMessage, errorCode);
    }
    throw new ConnectError("reflection does not answer", Code.Internal);
  }
}

/** The reflection of a server in the newest version that it has; undefined if it has none. */
export async function findReflection(transport: Transport): Promise<Reflection | undefined> {
  for (const version of ["v1", "v1alpha"] as const) {
    const reflection = new Reflection(transport, version);
    try {
      await reflection.services();
      return reflection;
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unimplemented) throw error;
    }
  }
  return undefined;
}

/** A file and all that it imports, each after what it imports itself. What no server sends is missing. */
function inOrder(root: FileDescriptorProto, files: ReadonlyMap<string, FileDescriptorProto>): FileDescriptorProto[] {
  const ordered = new Set<FileDescriptorProto>();
  const visit = (file: FileDescriptorProto | undefined): void => {
    if (file === undefined || ordered.has(file)) return;
    for (const name of file.dependency) visit(files.get(name));
    ordered.add(file);
  };
  visit(root);
  return [...ordered];
}
