import { create, fromBinary, getExtension, toBinary } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  MethodOptions_IdempotencyLevel as IdempotencyLevel,
  type MethodDescriptorProto,
  type MethodOptions,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { createClient } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { ServerReflection, type ServerReflectionResponse } from "../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import {
  ServerReflection as ServerReflectionAlpha,
  type ServerReflectionResponse as ServerReflectionResponseAlpha,
} from "../../src/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Access, MethodPolicySchema, method_policy } from "../../src/gen/policy/v1/policy_pb.ts";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { collect, startTestServer, streamOf, transportTo } from "../support/server.ts";

/** What is asked, alike in v1 and v1alpha. */
type Question =
  | { case: "listServices" | "fileByFilename" | "fileContainingSymbol" | "allExtensionNumbersOfType"; value: string }
  | { case: "fileContainingExtension"; value: { containingType: string; extensionNumber: number } }
  | { case: undefined };

type Response = ServerReflectionResponse | ServerReflectionResponseAlpha;

/** Asks on one stream, without a token. */
type Ask = (...questions: Question[]) => Promise<Response[]>;

async function startV1(): Promise<Ask> {
  const client = createClient(ServerReflection, transportTo(await startTestServer(), null));
  return (...questions) => {
    const requests = questions.map((messageRequest) => ({ host: "a host", messageRequest }));
    return collect(client.serverReflectionInfo(streamOf(...requests)));
  };
}

async function startV1Alpha(): Promise<Ask> {
  const client = createClient(ServerReflectionAlpha, transportTo(await startTestServer(), null));
  return (...questions) => {
    const requests = questions.map((messageRequest) => ({ host: "a host", messageRequest }));
    return collect(client.serverReflectionInfo(streamOf(...requests)));
  };
}

const file = (value: string): Question => ({ case: "fileByFilename", value });
const symbol = (value: string): Question => ({ case: "fileContainingSymbol", value });
const extension = (containingType: string, extensionNumber: number): Question => ({
  case: "fileContainingExtension",
  value: { containingType, extensionNumber },
});
const extensionsOf = (value: string): Question => ({ case: "allExtensionNumbersOfType", value });
const LIST: Question = { case: "listServices", value: "" };

/** The files of an answer. */
function filesOf(response: Response | undefined): FileDescriptorProto[] {
  const answer = response?.messageResponse;
  if (answer?.case !== "fileDescriptorResponse") return expect.fail(`answered ${JSON.stringify(answer)}`);
  return answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}

/** The answers in the form that tests compare; a file answer as the name of its first file. */
function inShort({ messageResponse: { case: kind, value } }: Response): unknown {
  switch (kind) {
    case "fileDescriptorResponse": {
      const [first] = value.fileDescriptorProto;
      return first && fromBinary(FileDescriptorProtoSchema, first).name;
    }
    case "listServicesResponse":
      return value.service.map(({ name }) => name);
    case "allExtensionNumbersResponse":
      return { [value.baseTypeName]: value.extensionNumber };
    case "errorResponse":
      return `${status[value.errorCode]}: ${value.errorMessage}`;
    default:
      return undefined;
  }
}

function methodOf({ service }: FileDescriptorProto, name: string): MethodDescriptorProto {
  const [method] = service.flatMap(({ method: methods }) => methods.filter((candidate) => candidate.name === name));
  return method ?? expect.fail(`no method ${name}`);
}

function optionsOf(descriptor: FileDescriptorProto, method: string): MethodOptions {
  return methodOf(descriptor, method).options ?? expect.fail(`${method} has no options`);
}

describe.each([
  ["grpc.reflection.v1", startV1],
  ["grpc.reflection.v1alpha", startV1Alpha],
])("%s", (_, start) => {
  it("lists every service, itself included, and asks for no token", async () => {
    const ask = await start();
    expect((await ask(LIST)).map(inShort)).toEqual([
      [
        "user.v1.UserService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
      ],
    ]);
  });

  it("answers with a file by its name", async () => {
    const names = [
      "user/v1/user_service.proto",
      "user/v1/user.proto",
      "policy/v1/policy.proto",
      "buf/validate/validate.proto",
      "google/protobuf/timestamp.proto",
      "google/protobuf/descriptor.proto",
      "google/rpc/error_details.proto",
      "grpc/reflection/v1/reflection.proto",
      "grpc/reflection/v1alpha/reflection.proto",
    ];
    const ask = await start();
    expect((await ask(...names.map(file))).map(inShort)).toEqual(names);
  });

  it("answers with a file and all that it imports, each once", async () => {
    const ask = await start();
    const [response] = await ask(file("user/v1/user_service.proto"));
    const files = filesOf(response);
    const names = files.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect([...names].sort((one, other) => one.localeCompare(other))).toEqual([
      "buf/validate/validate.proto",
      "google/protobuf/descriptor.proto",
      "google/protobuf/duration.proto",
      "google/protobuf/field_mask.proto",
      "google/protobuf/timestamp.proto",
      "policy/v1/policy.proto",
      "user/v1/collaborative_edit.proto",
      "user/v1/upload.proto",
      "user/v1/user_service.proto",
      "user/v1/user.proto",
      "user/v1/watch.proto",
    ]);
    for (const { dependency } of files) expect(names).toEqual(expect.arrayContaining(dependency));
  });

  it("answers with the file that holds a symbol", async () => {
    const files = {
      "user.v1.UserService": "user/v1/user_service.proto",
      "user.v1.UserService.GetUser": "user/v1/user_service.proto",
      "user.v1.User": "user/v1/user.proto",
      "user.v1.User.created_at": "user/v1/user.proto",
      "user.v1.UserRole": "user/v1/user.proto",
      "user.v1.USER_ROLE_ADMIN": "user/v1/user.proto",
      "google.rpc.BadRequest.FieldViolation": "google/rpc/error_details.proto",
      "google.rpc.BadRequest.FieldViolation.field": "google/rpc/error_details.proto",
      "google.protobuf.FieldDescriptorProto.Type": "google/protobuf/descriptor.proto",
      "google.protobuf.FieldDescriptorProto.TYPE_INT32": "google/protobuf/descriptor.proto",
      "buf.validate.FieldRules.type": "buf/validate/validate.proto",
      "policy.v1.method_policy": "policy/v1/policy.proto",
      "grpc.reflection.v1.ServerReflection": "grpc/reflection/v1/reflection.proto",
    };
    const ask = await start();
    const answers = await ask(...Object.keys(files).map(symbol));
    expect(answers.map(inShort)).toEqual(Object.values(files));
  });

  it("answers with the file that holds an extension", async () => {
    const ask = await start();
    const answers = await ask(
      extension("google.protobuf.MethodOptions", 50051),
      extension("google.protobuf.FieldOptions", 1159),
    );
    expect(answers.map(inShort)).toEqual(["policy/v1/policy.proto", "buf/validate/validate.proto"]);
  });

  it("answers with the numbers of all extensions of a type", async () => {
    const ask = await start();
    const answers = await ask(
      extensionsOf("google.protobuf.MethodOptions"),
      extensionsOf("google.protobuf.FieldOptions"),
      extensionsOf("user.v1.User"),
    );
    expect(answers.map(inShort)).toEqual([
      { "google.protobuf.MethodOptions": [50051] },
      { "google.protobuf.FieldOptions": [1159, 1160] },
      { "user.v1.User": [] },
    ]);
  });

  it("answers NOT_FOUND to what there is not", async () => {
    const unknown: [Question, string][] = [
      [file("user/v1/unknown.proto"), "user/v1/unknown.proto"],
      [file("user.proto"), "user.proto"],
      [symbol("user.v1.Unknown"), "user.v1.Unknown"],
      [symbol("user.v1.UserService.Unknown"), "user.v1.UserService.Unknown"],
      [symbol("user.v1.UserRole.USER_ROLE_ADMIN"), "user.v1.UserRole.USER_ROLE_ADMIN"],
      [symbol("user.v1"), "user.v1"],
      [symbol(""), ""],
      [symbol("constructor"), "constructor"],
      [extension("google.protobuf.MethodOptions", 1), "extension 1 of google.protobuf.MethodOptions"],
      [extension("user.v1.Unknown", 50051), "extension 50051 of user.v1.Unknown"],
      [extensionsOf("user.v1.Unknown"), "user.v1.Unknown"],
    ];
    const ask = await start();
    const answers = await ask(...unknown.map(([question]) => question));
    expect(answers.map(inShort)).toEqual(unknown.map(([, name]) => `NOT_FOUND: not found: ${name}`));
  });

  it("answers INVALID_ARGUMENT to a request that asks for nothing, and goes on", async () => {
    const ask = await start();
    const answers = await ask({ case: undefined }, symbol("user.v1.User"));
    expect(answers.map(inShort)).toEqual(["INVALID_ARGUMENT: the request asks for nothing", "user/v1/user.proto"]);
  });

  it("answers several questions in order, each with its question", async () => {
    const ask = await start();
    const questions = [symbol("user.v1.User"), file("unknown.proto"), LIST, symbol("user.v1.UserService.Chat")];
    const answers = await ask(...questions);
    expect(answers.map(({ messageResponse }) => messageResponse.case)).toEqual([
      "fileDescriptorResponse",
      "errorResponse",
      "listServicesResponse",
      "fileDescriptorResponse",
    ]);
    expect(answers.map(({ originalRequest }) => originalRequest?.messageRequest)).toEqual(questions);
    expect(answers.map(({ validHost }) => validHost)).toEqual(questions.map(() => "a host"));
  });

  it("keeps the options of methods", async () => {
    const ask = await start();
    const [response] = await ask(symbol("user.v1.UserService"));
    const [descriptor] = filesOf(response);
    const policyOf = (method: string) => getExtension(optionsOf(descriptor ?? expect.fail(), method), method_policy);
    const levelOf = (method: string) => methodOf(descriptor ?? expect.fail(), method).options?.idempotencyLevel;

    expect(policyOf("GetUser")).toEqual(
      create(MethodPolicySchema, {
        access: Access.AUTHENTICATED,
        defaultDeadline: { seconds: 5n },
        longestDeadline: { seconds: 60n },
      }),
    );
    expect(policyOf("CreateUsers")).toEqual(
      create(MethodPolicySchema, {
        access: Access.ADMIN_OR_SERVICE,
        defaultDeadline: { seconds: 60n },
        longestDeadline: { seconds: 600n },
      }),
    );
    expect(policyOf("Chat")).toEqual(create(MethodPolicySchema, { access: Access.AUTHENTICATED }));
    expect(levelOf("GetUser")).toBe(IdempotencyLevel.NO_SIDE_EFFECTS);
    expect(levelOf("Chat")).toBe(IdempotencyLevel.IDEMPOTENCY_UNKNOWN);
  });

  it("keeps every byte of the options of methods", async () => {
    const ask = await start();
    const [response] = await ask(symbol("user.v1.UserService"));
    const [descriptor] = filesOf(response);
    for (const { name, proto } of UserService.methods) {
      const options = optionsOf(descriptor ?? expect.fail(), name);
      const expected = proto.options ?? expect.fail(`${name} has no options`);
      expect(toBinary(MethodOptionsSchema, options)).toEqual(toBinary(MethodOptionsSchema, expected));
    }
    // idempotency_level 1, then method_policy: access 2, five seconds, sixty seconds.
    const bytes = toBinary(MethodOptionsSchema, optionsOf(descriptor ?? expect.fail(), "GetUser"));
    expect(Buffer.from(bytes).toString("hex")).toBe("9002019ab8180a08021a0208052202083c");
  });

  it("keeps the rules of fields", async () => {
    const ask = await start();
    const [response] = await ask(symbol("user.v1.CreateUserRequest"));
    const [descriptor] = filesOf(response);
    const message = descriptor?.messageType.find(({ name }) => name === "CreateUserRequest");
    const options = message?.field.find(({ name }) => name === "email")?.options ?? expect.fail("no options");
    expect(getExtension(options, fieldRules).type).toMatchObject({
      case: "string",
      value: { minBytes: 1n, maxBytes: 320n },
    });
  });
});
