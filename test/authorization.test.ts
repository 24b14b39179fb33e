import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  create,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  getOption,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { ConnectError, type Transport } from "@connectrpc/connect";
import { beforeEach, describe, expect, it } from "vitest";
import { authorizationMatrix, authorizationPage, CALLERS } from "../scripts/authorization-page.ts";
import { readPolicies } from "../src/contract/policy.ts";
import type { Principal } from "../src/domain/principal.ts";
import { method_policy } from "../src/gen/policy/v1/policy_pb.ts";
import { UserStatus } from "../src/gen/user/v1/user_pb.ts";
import { UserService } from "../src/gen/user/v1/user_service_pb.ts";
import { failureOf, toFailure } from "./support/errors.ts";
import {
  ADMIN,
  collect,
  sharedTestServer,
  streamOf,
  type TestServer,
  transportTo,
  userClient,
} from "./support/server.ts";

const METHODS: readonly DescMethod[] = UserService.methods;
const POLICIES = readPolicies([UserService]);

const MATRIX = authorizationMatrix();

/** Who is admitted, if anybody: who is suspended is a user of one of the others' roles. */
const ADMISSIBLE = CALLERS.filter((caller) => caller !== "suspended");
type Admissible = (typeof ADMISSIBLE)[number];

/** Who is admitted, by hand, so that nobody changes a policy without noticing. */
const BY_HAND: Readonly<Record<string, readonly Admissible[]>> = {
  GetUser: ["user", "self", "admin", "service"],
  BatchGetUsers: ["user", "self", "admin", "service"],
  ListUsers: ["admin", "service"],
  ListUsersPage: ["admin", "service"],
  CreateUser: ["admin", "service"],
  CreateUsers: ["admin", "service"],
  UpdateUser: ["self", "admin"],
  DeleteUser: ["self", "admin"],
  WatchUsers: ["admin", "service"],
  UploadUserData: ["admin", "service"],
  Chat: ["user", "self", "admin", "service"],
  CollaborativeEdit: ["user", "self", "admin", "service"],
};

const UNAUTHENTICATED = { code: "Unauthenticated", reason: "TOKEN_INVALID", domain: "user.v1" };
const NOT_ALLOWED = { code: "PermissionDenied", reason: "CALLER_NOT_ALLOWED", domain: "user.v1" };
const SUSPENDED = {
  code: "PermissionDenied",
  message: "the caller is suspended",
  reason: "CALLER_SUSPENDED",
  domain: "user.v1",
};

/** The least that a request can say, and the user whom it acts on where the policy asks for one. */
function requestFor(method: DescMethod, subject: string): Message {
  const { subjectOf } = policyOf(method);
  if (subjectOf === undefined) return create(method.input);
  const names = getOption(method, method_policy).selfField.split(".");
  const init = names.reduceRight<unknown>((value, name) => ({ [name]: value }), subject);
  const request = create(method.input, init as MessageInitShape<typeof method.input>);
  expect(subjectOf(request), `whom a ${method.input.name} names`).toBe(subject);
  return request;
}

function policyOf(method: DescMethod) {
  return POLICIES.get(method) ?? expect.fail(`${method.name} has no policy`);
}

/** Makes a call of any kind, with one request message, and reads its answer: the whole of it, or the beginning if it has no end. */
async function call(transport: Transport, method: DescMethod, request: Message): Promise<void> {
  if (isUnary(method)) {
    await transport.unary(method, undefined, undefined, undefined, request);
    return;
  }
  const streaming = method as DescMethodStreaming;
  const over = new AbortController();
  const { message } = await transport.stream(streaming, over.signal, undefined, undefined, streamOf(request));
  if (method === UserService.method.watchUsers) await message[Symbol.asyncIterator]().next();
  else await collect(message);
  over.abort();
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

/** How a call ends: well, or with a failure. */
function outcomeOf(transport: Transport, method: DescMethod, request: Message): Promise<{ readonly code: string }> {
  return call(transport, method, request).then(
    () => ({ code: "Ok" }),
    (error: unknown) => toFailure(ConnectError.from(error)),
  );
}

/** Creates a user whose e-mail address nobody has. */
async function createUser(server: TestServer, name: string): Promise<string> {
  const { user } = await userClient(server).createUser({ email: `${name}-${randomUUID()}@example.com`, name });
  return user?.id ?? expect.fail("the response holds no user");
}

const sharedServer = sharedTestServer();

describe.each(METHODS.map((method) => [method.name, method] as const))("%s", (name, method) => {
  const verdicts = MATRIX.get(method) ?? expect.fail(`the matrix does not tell of ${name}`);
  const admitted = ADMISSIBLE.filter((caller) => verdicts[caller] === "OK");
  let server: TestServer;
  let callers: Readonly<Record<Admissible, Principal | null>>;
  let request: Message;

  beforeEach(async () => {
    server = sharedServer();
    const subject = await createUser(server, "ada");
    callers = {
      nobody: null,
      user: { id: await createUser(server, "grace"), role: "user" },
      self: { id: subject, role: "user" },
      admin: ADMIN,
      service: { id: "importer", role: "service" },
    };
    request = requestFor(method, subject);
  });

  it("admits those whom its policy is meant to admit", () => {
    expect(admitted).toEqual(BY_HAND[name]);
  });

  it.each(admitted)("admits %s", async (caller) => {
    const { code } = await outcomeOf(transportTo(server, callers[caller]), method, request);
    expect(["Unauthenticated", "PermissionDenied"]).not.toContain(code);
  });

  it.each(ADMISSIBLE.filter((caller) => !admitted.includes(caller)))("refuses %s", async (caller) => {
    const refusal = verdicts[caller] === "UNAUTHENTICATED" ? UNAUTHENTICATED : NOT_ALLOWED;
    expect(await outcomeOf(transportTo(server, callers[caller]), method, request)).toMatchObject(refusal);
  });

  it("refuses a user who is suspended, and admits them again when they are active", async () => {
    const id = callers.self?.id ?? "";
    const admin = userClient(server);
    const suspendable = transportTo(server, { id, role: admitted.includes("self") ? "user" : "admin" });
    await admin.updateUser({ user: { id, status: UserStatus.SUSPENDED } });
    expect(verdicts.suspended).toBe("PERMISSION_DENIED");
    for (const role of ["user", "admin"] as const)
      expect(await outcomeOf(transportTo(server, { id, role }), method, request)).toMatchObject(SUSPENDED);
    await admin.updateUser({ user: { id, status: UserStatus.ACTIVE } });
    expect(await outcomeOf(suspendable, method, request)).not.toMatchObject({ code: "PermissionDenied" });
  });

  it("takes the token of a user who has been deleted for that of anybody", async () => {
    const { id = "" } = callers.user ?? {};
    const before = await outcomeOf(transportTo(server, callers.user), method, request);
    await userClient(server).deleteUser({ id });
    const after = await outcomeOf(transportTo(server, callers.user), method, request);
    expect(after.code).toBe(before.code);
  });
});

describe("the page of the documentation", () => {
  it("is the one that `npm run docs` writes", () => {
    expect(readFileSync(new URL("../docs/authorization.md", import.meta.url), "utf8")).toBe(authorizationPage());
  });
});

describe("the table made by hand", () => {
  it("holds all methods", () => {
    expect(METHODS.map(({ name }) => name)).toEqual(Object.keys(BY_HAND));
  });
});

describe("a suspended user", () => {
  it.each(["user", "admin"] as const)(
    "is put out of the streams that are open, with a token of the role %s",
    async (role) => {
      const server = sharedServer();
      const [id, other] = [await createUser(server, "ada"), await createUser(server, "grace")];
      const { promise: over, resolve: end } = Promise.withResolvers<void>();
      async function* talk() {
        yield { message: "before" };
        await over;
      }
      const join = async (principal: Principal) => {
        const answers = userClient(server, principal).chat(talk())[Symbol.asyncIterator]();
        await answers.next();
        return answers;
      };
      const stays = [await join({ id: other, role }), await join({ id, role: "service" })];
      const goes = await join({ id, role });
      await userClient(server).updateUser({ user: { id, status: UserStatus.SUSPENDED } });
      expect(await failureOf(goes.next())).toMatchObject(SUSPENDED);
      end();
      for (const answers of stays) expect((await answers.next()).done).toBe(true);
    },
  );

  it("does not keep out a service that happens to have their id for its name", async () => {
    const server = sharedServer();
    const id = await createUser(server, "ada");
    await userClient(server).updateUser({ user: { id, status: UserStatus.SUSPENDED } });
    await expect(userClient(server, { id, role: "service" }).getUser({ id })).resolves.toBeDefined();
  });

  it("is refused from the first call on who is created so", async () => {
    const server = sharedServer();
    const fields = { email: "suspended@example.com", name: "Ada", status: UserStatus.SUSPENDED };
    const { user } = await userClient(server).createUser(fields);
    const client = userClient(server, { id: user?.id ?? "", role: "user" });
    expect(await failureOf(client.getUser({ id: "x" }))).toMatchObject(SUSPENDED);
  });

  it("cannot end it, not even as an admin, and can be read by others", async () => {
    const server = sharedServer();
    const id = await createUser(server, "ada");
    const self = userClient(server, { id, role: "admin" });
    await self.updateUser({ user: { id, status: UserStatus.SUSPENDED } });
    expect(await failureOf(self.updateUser({ user: { id, status: UserStatus.ACTIVE } }))).toMatchObject(SUSPENDED);
    const { user } = await userClient(server).getUser({ id });
    expect(user?.status).toBe(UserStatus.SUSPENDED);
  });
});

describe("a service whose name is a user's id", () => {
  it("is not that user", async () => {
    const server = sharedServer();
    const id = await createUser(server, "ada");
    const client = userClient(server, { id, role: "service" });
    expect(await failureOf(client.deleteUser({ id }))).toMatchObject({ code: "PermissionDenied" });
  });
});
