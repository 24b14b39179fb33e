import { createHash, randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { UploadFormat } from "../../gen/user/v1/upload_pb.ts";
import { UserService } from "../../gen/user/v1/user_service_pb.ts";
import { callMethod } from "../method-call.ts";
import { streamOf } from "../stream-of.ts";
import { type Check, ensure, failureOf } from "./check.ts";

/** How calls fail that have to, and what the failures tell. */
export const ERROR_CHECKS: readonly Check[] = [
  {
    group: "errors",
    name: "NOT_FOUND names the user who does not exist",
    async run({ users, signal }) {
      const { resource } = await failureOf(
        users.getUser({ id: "nobody" }, { signal }),
        Code.NotFound,
        "USER_NOT_FOUND",
      );
      ensure(resource?.name === "nobody", "ResourceInfo does not name the user");
    },
  },
  {
    group: "errors",
    name: "INVALID_ARGUMENT lists the violations",
    async run({ users, signal }) {
      const { violations } = await failureOf(users.createUser({}, { signal }), Code.InvalidArgument);
      const fields = violations.map(({ field }) => field);
      for (const field of ["email", "name"]) ensure(fields.includes(field), `BadRequest does not name ${field}`);
    },
  },
  {
    group: "errors",
    name: "ALREADY_EXISTS for an e-mail address that is taken, and a stream creates nobody then",
    async run(context) {
      const { email } = await context.createUser();
      await failureOf(context.users.createUser({ email, name: "Again" }, context), Code.AlreadyExists, "EMAIL_TAKEN");
      const fresh = { email: context.email(), name: "New" };
      const both = context.users.createUsers(streamOf(fresh, { email, name: "Again" }), context);
      await failureOf(both, Code.AlreadyExists, "EMAIL_TAKEN");
      const { user } = await context.users.createUser(fresh, context);
      context.keep(user?.id ?? "");
    },
  },
  {
    group: "errors",
    name: "ABORTED for an etag that is not the user's any more",
    async run(context) {
      const { id, etag } = await context.createUser();
      const change = (name: string) =>
        context.users.updateUser({ user: { id, etag, name }, updateMask: { paths: ["name"] } }, context);
      await change("First");
      await failureOf(change("Second"), Code.Aborted);
    },
  },
  {
    group: "errors",
    name: "INVALID_ARGUMENT for a page token that was not made here",
    async run({ users, signal }) {
      await failureOf(users.listUsersPage({ pageToken: "forged" }, { signal }), Code.InvalidArgument);
    },
  },
  {
    group: "errors",
    name: "DATA_LOSS for a file with another SHA-256",
    async run({ users, signal }) {
      const data = Buffer.from("email,name\n");
      const sha256 = createHash("sha256").update("another").digest();
      const header = { uploadId: randomUUID(), format: UploadFormat.CSV, sizeBytes: BigInt(data.length), sha256 };
      const parts = streamOf(
        { part: { case: "header", value: header } } as const,
        { part: { case: "chunk", value: { data } } } as const,
      );
      await failureOf(users.uploadUserData(parts, { signal }), Code.DataLoss);
    },
  },
  {
    group: "errors",
    name: "UNIMPLEMENTED for a method that does not exist",
    async run({ transport, signal }) {
      const method = { ...UserService.method.getUser, name: "NoSuchMethod" };
      await failureOf(callMethod(transport, { method, requests: [] }, signal), Code.Unimplemented);
    },
  },
  {
    group: "errors",
    name: "DEADLINE_EXCEEDED for a stream that lives longer than it may",
    async run(context) {
      const watching = context.streaming(async (signal) => {
        for await (const _ of context.users.watchUsers({}, { signal, timeoutMs: 100 }));
      });
      await failureOf(watching, Code.DeadlineExceeded);
    },
  },
];
