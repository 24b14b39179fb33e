import { createHash } from "node:crypto";
import { create, type DescMethod, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ServerReflection } from "../../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../../src/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Health } from "../../../src/gen/health/v1/health_pb.ts";
import { UploadFormat } from "../../../src/gen/user/v1/upload_pb.ts";
import { UserRole } from "../../../src/gen/user/v1/user_pb.ts";
import { ChatMessageType, UserService } from "../../../src/gen/user/v1/user_service_pb.ts";

/** A request that is in order, from which others are made. */
export interface Sample {
  readonly method: DescMethod;
  readonly messages: readonly Uint8Array[];
}

const UUID = "01a1fd7c-edc8-7000-8000-3de84de829f4";
const HASTE = { seconds: 1_700_000_000n, nanos: 5 };

/** What stands in a file of users, in two formats, with the names that objects have by birth among its own. */
const FILES: readonly [UploadFormat, string][] = [
  [UploadFormat.CSV, 'email,name,tags,metadata.team\nfuzz1@example.com,"Fuzz, One",a|b,red\nfuzz2@example.com,Two,,\n'],
  [UploadFormat.CSV, "email,name,metadata.__proto__,metadata.constructor\nfuzz3@example.com,Three,x,y\n"],
  [UploadFormat.CSV, "email,name,__proto__,toString\nfuzz4@example.com,Four,x,y\n"],
  [UploadFormat.NDJSON, '{"email":"fuzz5@example.com","name":"Five","metadata":{"team":"red"}}\n{"email":"x"}\n'],
  [UploadFormat.NDJSON, '{"email":"fuzz6@example.com","name":"Six","metadata":{"__proto__":"x","constructor":"y"}}\n'],
  [UploadFormat.NDJSON, '{"__proto__":{"email":"a@example.com"},"constructor":{"prototype":{"name":"x"}}}\n'],
  [UploadFormat.NDJSON, '{"email":"\\ud800@example.com","name":"\\udfff","metadata":{"toString":"\\u0000"}}\n'],
];

/** Requests of every method, health and reflection included, about a user who exists. */
export function samplesAbout(userId: string): readonly Sample[] {
  const { method } = UserService;
  const user = {
    id: userId,
    email: "fuzz@example.com",
    name: "Fuzz",
    role: UserRole.ADMIN,
    username: "fuzz",
    age: 42,
    tags: ["a", "b"],
    metadata: { team: "red", "a.b": "c" },
    contact: { case: "phone" as const, value: "+491234567" },
    profile: { bio: "Lorem ipsum", avatarUrl: "https://example.com/a.png" },
  };
  const { id: _, ...fields } = user;
  const paths = ["name", "tags", "metadata", "profile.bio", "phone"];
  const room = { userId, room: "fuzz", type: ChatMessageType.JOIN } as const;
  const steps = [
    { step: { case: "insert", value: "words" } },
    { step: { case: "retain", value: 1 } },
    { step: { case: "delete", value: 1 } },
  ] as const;
  return [
    sample(method.getUser, { id: userId }),
    sample(method.batchGetUsers, { ids: [userId, "nobody", UUID] }),
    sample(method.listUsers, { pageSize: 3 }),
    sample(method.listUsersPage, { pageSize: 3, pageToken: "bm90aGluZw" }),
    sample(method.createUser, { ...fields, requestId: UUID }),
    sample(method.createUsers, { ...fields }, { email: "fuzz-other@example.com", name: "Other" }),
    sample(method.updateUser, { user, updateMask: { paths } }),
    sample(method.updateUser, { user, updateMask: { paths: ["*"] } }),
    sample(method.updateUser, { user, updateMask: { paths: ["__proto__", "constructor.name", "user.toString"] } }),
    sample(method.deleteUser, { id: UUID, etag: "etag" }),
    sample(method.watchUsers, { resumeToken: "bm90aGluZw" }),
    sample(method.chat, { userId, message: "hello", timestamp: HASTE }, { message: "again" }),
    sample(method.chat, room, { userId, room: "fuzz", message: "words", clientMessageId: UUID }),
    sample(
      method.collaborativeEdit,
      { request: { case: "open", value: { userId } } },
      { request: { case: "operation", value: { operationId: UUID, baseRevision: 0n, steps: [...steps] } } },
      { request: { case: "cursor", value: { position: 1, selectionEnd: 1 } } },
    ),
    ...FILES.map(([format, text]) => upload(format, text)),
    sample(Health.method.check, { service: "user.v1.UserService" }),
    sample(Health.method.list, {}),
    sample(Health.method.watch, { service: "" }),
    ...[ServerReflection, ServerReflectionAlpha].flatMap(({ method: { serverReflectionInfo } }) => [
      sample(serverReflectionInfo, { messageRequest: { case: "listServices", value: "" } }),
      sample(serverReflectionInfo, { messageRequest: { case: "fileContainingSymbol", value: "user.v1.User" } }),
      sample(serverReflectionInfo, { messageRequest: { case: "fileByFilename", value: "__proto__" } }),
    ]),
  ];
}

function upload(format: UploadFormat, text: string): Sample {
  const data = Buffer.from(text);
  const sha256 = createHash("sha256").update(data).digest();
  const header = { uploadId: UUID, format, sizeBytes: BigInt(data.length), sha256 };
  return sample(
    UserService.method.uploadUserData,
    { part: { case: "header", value: header } },
    { part: { case: "chunk", value: { data } } },
  );
}

function sample<M extends DescMethod>(method: M, ...messages: MessageInitShape<M["input"]>[]): Sample {
  return { method, messages: messages.map((each) => toBinary(method.input, create(method.input, each))) };
}
