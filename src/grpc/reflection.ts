import { type DescExtension, type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import type { ServerReflection, ServerReflectionRequest } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import type {
  ServerReflection as ServerReflectionAlpha,
  ServerReflectionRequest as ServerReflectionRequestAlpha,
} from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";

/** What a client asks, alike in v1 and v1alpha. */
type Question = Pick<ServerReflectionRequest | ServerReflectionRequestAlpha, "host" | "messageRequest">;

/** What it is told, alike in v1 and v1alpha. */
type Answer =
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: "allExtensionNumbersResponse"; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: "errorResponse"; value: { errorCode: status; errorMessage: string } };

/**
 * Makes the RPC of grpc.reflection.v1 and v1alpha for these services, from the descriptors they were generated with:
 * nothing is parsed, and custom options are kept. `others` are files that no service refers to but clients want to
 * read, such as those of error details.
 */
export function createReflection(
  services: readonly DescService[],
  others: readonly DescFile[],
): ServiceImpl<typeof ServerReflection> & ServiceImpl<typeof ServerReflectionAlpha> {
  let catalog: Catalog | undefined;

  async function* serverReflectionInfo<Q extends Question>(requests: AsyncIterable<Q>) {
    catalog ??= new Catalog(services, others);
    for await (const originalRequest of requests) {
      const messageResponse = catalog.answer(originalRequest.messageRequest);
      yield { validHost: originalRequest.host, originalRequest, messageResponse };
    }
  }

  return { serverReflectionInfo };
}

/** Everything that the files of some services declare. */
class Catalog {
  readonly #services: readonly DescService[];
  readonly #files = new Map<string, DescFile>();
  /** The file that declares each fully-qualified name: of types, methods, fields, oneofs, and enum values. */
  readonly #symbols = new Map<string, DescFile>();
  readonly #extensions: DescExtension[] = [];

  constructor(services: readonly DescService[], others: readonly DescFile[]) {
    this.#services = services;
    const files = [...services.map(({ file }) => file), ...others];
    for (const file of withDependencies(files)) this.#add(file);
  }

  answer({ case: kind, value }: Question["messageRequest"]): Answer {
    switch (kind) {
      case "listServices":
        return {
          case: "listServicesResponse",
          value: { service: this.#services.map(({ typeName }) => ({ name: typeName })) },
        };
      case "fileByFilename":
        return describe(this.#files.get(value), value);
      case "fileContainingSymbol":
        return describe(this.#symbols.get(value), value);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = value;
        const extension = this.#extensionsOf(containingType).find(({ number }) => number === extensionNumber);
        return describe(extension?.file, `extension ${extensionNumber} of ${containingType}`);
      }
      case "allExtensionNumbersOfType": {
        if (!this.#symbols.has(value)) return failure(status.NOT_FOUND, `not found: ${value}`);
        const extensionNumber = this.#extensionsOf(value).map(({ number }) => number);
        return { case: "allExtensionNumbersResponse", value: { baseTypeName: value, extensionNumber } };
      }
      case undefined:
        return failure(status.INVALID_ARGUMENT, "the request asks for nothing");
    }
  }

  #extensionsOf(typeName: string): DescExtension[] {
    return this.#extensions.filter(({ extendee }) => extendee.typeName === typeName);
  }

  #add(file: DescFile): void {
    this.#files.set(file.proto.name, file);
    for (const type of nestedTypes(file)) {
      this.#symbols.set(type.typeName, file);
      if (type.kind === "extension") this.#extensions.push(type);
      for (const member of memberNames(type)) this.#symbols.set(member, file);
    }
  }
}

function memberNames(type: ReturnType<typeof nestedTypes> extends Iterable<infer T> ? T : never): string[] {
  switch (type.kind) {
    case "message":
      return [...type.fields, ...type.oneofs].map(({ name }) => `${type.typeName}.${name}`);
    case "service":
      return type.methods.map(({ name }) => `${type.typeName}.${name}`);
    case "enum": {
      // Enum values live beside their enum, not in it.
      const scope = type.typeName.slice(0, -type.name.length);
      return type.values.map(({ name }) => `${scope}${name}`);
    }
    case "extension":
      return [];
  }
}

/** The file and all that it imports, as serialized descriptors. */
function describe(file: DescFile | undefined, name: string): Answer {
  if (file === undefined) return failure(status.NOT_FOUND, `not found: ${name}`);
  const fileDescriptorProto = [...withDependencies([file])].map(({ proto }) =>
    toBinary(FileDescriptorProtoSchema, proto),
  );
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function failure(errorCode: status, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}

/** These files and all that they import, each once. */
function withDependencies(files: Iterable<DescFile>): Set<DescFile> {
  const all = new Set(files);
  // A Set is walked in the order of insertion, so what is added while walking is walked too.
  for (const { dependencies } of all) for (const dependency of dependencies) all.add(dependency);
  return all;
}
