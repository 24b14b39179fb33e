import {
  create,
  createFileRegistry,
  type DescService,
  type MessageInitShape,
  setExtension,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  MethodOptionsSchema,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { readPolicies } from "../../src/contract/policy.ts";
import { Access, file_policy_v1_policy, MethodPolicySchema, method_policy } from "../../src/gen/policy/v1/policy_pb.ts";
import { UpdateUserRequestSchema, UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { ProbeService, SelfRequestSchema } from "../gen/probe/v1/probe_pb.ts";
import { UserService as PrimaryUserService } from "../gen/user/v1/user_pb.ts";

type Policy = MessageInitShape<typeof MethodPolicySchema>;
type Field = MessageInitShape<typeof FieldDescriptorProtoSchema>;

const NEVER = Number.POSITIVE_INFINITY;
const DEADLINES = { defaultDeadline: { seconds: 5n }, longestDeadline: { seconds: 60n } } as const;

const FIELDS: Field[] = [
  { name: "id", number: 1, type: Type.STRING },
  { name: "number", number: 2, type: Type.INT32 },
  { name: "raw", number: 3, type: Type.BYTES },
  { name: "tags", number: 4, type: Type.STRING, label: Label.REPEATED },
  { name: "user", number: 5, type: Type.MESSAGE, typeName: ".made.Request" },
  { name: "users", number: 6, type: Type.MESSAGE, typeName: ".made.Request", label: Label.REPEATED },
  { name: "either", number: 7, type: Type.STRING, oneofIndex: 0 },
  { name: "handle_name", number: 8, type: Type.STRING, oneofIndex: 1, proto3Optional: true },
];

/** A service made at run time, whose one method `Do` states this policy. */
function serviceWith(policy: Policy | undefined, kind: { clientStreaming?: boolean } = {}): DescService {
  const options = create(MethodOptionsSchema);
  if (policy !== undefined) setExtension(options, method_policy, create(MethodPolicySchema, policy));
  const file = create(FileDescriptorProtoSchema, {
    name: "made.proto",
    package: "made",
    syntax: "proto3",
    dependency: ["policy/v1/policy.proto"],
    messageType: [
      {
        name: "Request",
        field: FIELDS.map((field) => ({ label: Label.OPTIONAL, ...field })),
        oneofDecl: [{ name: "choice" }, { name: "_handle_name" }],
      },
    ],
    service: [
      {
        name: "Service",
        method: [{ name: "Do", inputType: ".made.Request", outputType: ".made.Request", options, ...kind }],
      },
    ],
  });
  const registry = createFileRegistry(file, (name) =>
    name === file_policy_v1_policy.proto.name ? file_policy_v1_policy : undefined,
  );
  return registry.getService("made.Service") ?? expect.fail("no service was made");
}

function read(policy: Policy | undefined, kind?: { clientStreaming?: boolean }) {
  const [entry] = readPolicies([serviceWith(policy, kind)]).values();
  return entry ?? expect.fail("no policy was read");
}

function readSelf(selfField: string) {
  return read({ access: Access.SELF_OR_ADMIN, selfField, ...DEADLINES });
}

describe("readPolicies", () => {
  it("reads the policy of every method of user.v1", () => {
    const maxRequestBytes = 65_536;
    const unary = { defaultDeadlineMs: 5000, longestDeadlineMs: 60_000, maxRequestBytes };
    const long = { defaultDeadlineMs: 60_000, longestDeadlineMs: 600_000, maxRequestBytes };
    const live = { defaultDeadlineMs: NEVER, longestDeadlineMs: NEVER, maxRequestBytes };
    const { method } = UserService;
    expect([...readPolicies([UserService])]).toEqual([
      [method.getUser, { access: Access.AUTHENTICATED, ...unary }],
      [method.batchGetUsers, { access: Access.AUTHENTICATED, ...unary, maxRequestBytes: 131_072 }],
      [method.listUsers, { access: Access.ADMIN_OR_SERVICE, ...long }],
      [method.listUsersPage, { access: Access.ADMIN_OR_SERVICE, ...unary, defaultDeadlineMs: 10_000 }],
      [method.createUser, { access: Access.ADMIN_OR_SERVICE, ...unary }],
      [method.createUsers, { access: Access.ADMIN_OR_SERVICE, ...long }],
      [method.updateUser, { access: Access.SELF_OR_ADMIN, ...unary, subjectOf: expect.any(Function) }],
      [method.deleteUser, { access: Access.SELF_OR_ADMIN, ...unary, subjectOf: expect.any(Function) }],
      [method.watchUsers, { access: Access.ADMIN_OR_SERVICE, ...live }],
      [
        method.uploadUserData,
        {
          access: Access.ADMIN_OR_SERVICE,
          defaultDeadlineMs: 600_000,
          longestDeadlineMs: 3_600_000,
          maxRequestBytes: 1_114_112,
        },
      ],
      [method.chat, { access: Access.AUTHENTICATED, ...live }],
      [method.collaborativeEdit, { access: Access.AUTHENTICATED, ...live }],
    ]);
  });

  it("leaves room for a user with all that a user may have", () => {
    const keys = Array.from({ length: 50 }, (_, index) => String(index).padStart(64, "k"));
    const user = {
      email: "e".repeat(320),
      name: "n".repeat(512),
      username: "u".repeat(64),
      tags: keys,
      metadata: Object.fromEntries(keys.map((key) => [key, "v".repeat(512)])),
      contact: { case: "slackId", value: "s".repeat(64) },
      profile: { bio: "b".repeat(16_384), avatarUrl: "a".repeat(2048) },
    } as const;
    const { updateUser } = UserService.method;
    const request = create(UpdateUserRequestSchema, { user, updateMask: { paths: keys } });
    const bytes = toBinary(UpdateUserRequestSchema, request);
    expect(bytes.length).toBeGreaterThan(50_000);
    expect(bytes.length).toBeLessThan(readPolicies([UserService]).get(updateUser)?.maxRequestBytes ?? 0);
  });

  it("reads whom a request of user.v1 acts on", () => {
    const policies = readPolicies([UserService]);
    const { updateUser, deleteUser } = UserService.method;
    const update = create(updateUser.input, { user: { id: "ada" } });
    expect(policies.get(updateUser)?.subjectOf?.(update)).toBe("ada");
    expect(policies.get(deleteUser)?.subjectOf?.(create(deleteUser.input, { id: "ada" }))).toBe("ada");
  });

  it("reads the methods of all services", () => {
    const methods = [...readPolicies([UserService, ProbeService]).keys()];
    expect(methods).toEqual([...UserService.methods, ...ProbeService.methods]);
  });

  it("reads deadlines of less than a second", () => {
    expect(readPolicies([ProbeService]).get(ProbeService.method.brief)).toMatchObject({
      defaultDeadlineMs: 50,
      longestDeadlineMs: 100,
    });
  });

  it("reads deadlines of seconds and nanoseconds", () => {
    const defaultDeadline = { seconds: 1n, nanos: 500_000_000 };
    expect(read({ access: Access.PUBLIC, defaultDeadline, longestDeadline: { seconds: 2n } })).toEqual({
      access: Access.PUBLIC,
      defaultDeadlineMs: 1500,
      longestDeadlineMs: 2000,
      maxRequestBytes: 65_536,
    });
  });

  it("reads the size of the largest request", () => {
    expect(read({ access: Access.PUBLIC, ...DEADLINES, maxRequestBytes: 1 })).toMatchObject({ maxRequestBytes: 1 });
  });

  it("lets a stream lack both deadlines, or the default one only if it lacks the longest", () => {
    const stream = { clientStreaming: true };
    expect(read({ access: Access.PUBLIC }, stream)).toMatchObject({
      defaultDeadlineMs: NEVER,
      longestDeadlineMs: NEVER,
    });
    expect(read({ access: Access.PUBLIC, defaultDeadline: { seconds: 5n } }, stream)).toMatchObject({
      defaultDeadlineMs: 5000,
      longestDeadlineMs: NEVER,
    });
    expect(() => read({ access: Access.PUBLIC, longestDeadline: { seconds: 5n } }, stream)).toThrow();
  });

  it("fails for a contract whose methods state no policy, and names the first of them", () => {
    expect(() => readPolicies([UserService, PrimaryUserService])).toThrow(
      "user.v1.UserService.GetUser: the method states no policy (option policy.v1.method_policy)",
    );
  });

  it.each<[string, Policy | undefined, string]>([
    ["no policy", undefined, "states no policy"],
    ["an empty policy", {}, "states no access"],
    ["no access", DEADLINES, "states no access"],
    [
      "an access that this version does not know",
      { access: 99 as Access, ...DEADLINES },
      "states an unknown access (99)",
    ],
    [
      "a default deadline later than the longest",
      { access: Access.PUBLIC, defaultDeadline: { seconds: 61n }, longestDeadline: { seconds: 60n } },
      "the default deadline is later than the longest",
    ],
    [
      "a longest deadline but no default",
      { access: Access.PUBLIC, longestDeadline: { seconds: 60n } },
      "the default deadline is later than the longest",
    ],
    ["no deadline for a unary method", { access: Access.PUBLIC }, "only streams may lack a deadline"],
    [
      "no longest deadline for a unary method",
      { access: Access.PUBLIC, defaultDeadline: { seconds: 5n } },
      "only streams may lack a deadline",
    ],
    [
      "a negative deadline",
      { access: Access.PUBLIC, defaultDeadline: { seconds: -5n }, longestDeadline: { seconds: 60n } },
      "a deadline is negative",
    ],
    ["a negative size", { access: Access.PUBLIC, ...DEADLINES, maxRequestBytes: -1 }, "max_request_bytes is negative"],
    [
      "negative deadlines",
      { access: Access.PUBLIC, defaultDeadline: { seconds: -5n }, longestDeadline: { seconds: -1n } },
      "a deadline is negative",
    ],
  ])("fails when a method states %s", (_, policy, fault) => {
    expect(() => read(policy)).toThrow(/^made\.Service\.Do: /);
    expect(() => read(policy)).toThrow(fault);
  });

  it.each([
    ["nowhere", "missing"],
    ["nothing", ""],
    ["a name in another case", "ID"],
    ["the name in TypeScript", "handleName"],
    ["a number", "number"],
    ["bytes", "raw"],
    ["a message", "user"],
    ["a repeated field", "tags"],
    ["into a repeated message", "users.id"],
    ["into a string", "id.length"],
    ["a member of a oneof", "either"],
    ["nowhere in a nested message", "user.missing"],
    ["an empty name", "user."],
  ])("fails when self_field leads to %s", (_, selfField) => {
    expect(() => readSelf(selfField)).toThrow(
      `made.Service.Do: self_field "${selfField}" names no string field of the request`,
    );
  });

  it("takes no notice of self_field without ACCESS_SELF_OR_ADMIN", () => {
    expect(read({ access: Access.PUBLIC, selfField: "missing", ...DEADLINES })).not.toHaveProperty("subjectOf");
  });
});

describe("subjectOf", () => {
  it("reads a field of the request", () => {
    expect(readSelf("id").subjectOf?.({ id: "ada" })).toBe("ada");
  });

  it("reads a field whose name is another in TypeScript", () => {
    expect(readSelf("handle_name").subjectOf?.({ handleName: "ada" })).toBe("ada");
  });

  it("reads a field of a nested message", () => {
    const policies = readPolicies([ProbeService]);
    for (const method of [ProbeService.method.self, ProbeService.method.selfStream]) {
      const subjectOf = policies.get(method)?.subjectOf;
      expect(subjectOf?.(create(SelfRequestSchema, { user: { id: "ada" } }))).toBe("ada");
    }
  });

  it("reads an empty id when the request names none", () => {
    const { subjectOf } = readSelf("user.user.id");
    for (const request of [undefined, {}, { user: {} }, { user: { user: { id: 7 } } }])
      expect(subjectOf?.(request)).toBe("");
  });
});
