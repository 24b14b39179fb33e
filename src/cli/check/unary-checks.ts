import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { type Check, ensure, failureOf } from "./check.ts";

/** One check for each unary RPC. */
export const UNARY_CHECKS: readonly Check[] = [
  {
    group: "unary",
    name: "CreateUser creates a user, once for a request_id",
    async run(context) {
      const { users, signal } = context;
      const request = { email: context.email(), name: "Ada Check", tags: ["check"], requestId: randomUUID() };
      const { user } = await users.createUser(request, { signal });
      ensure(user !== undefined, "no user came back");
      context.keep(user.id);
      ensure(user.email === request.email && user.name === request.name, "the user is not as it was asked for");
      ensure(user.tags.join() === "check", "the tags are not as they were asked for");
      ensure(user.etag !== "" && user.createdAt !== undefined, "etag or created_at is missing");
      const again = await users.createUser(request, { signal });
      context.keep(again.user?.id ?? user.id);
      ensure(again.user?.id === user.id, "the same request_id created another user");
    },
  },
  {
    group: "unary",
    name: "GetUser gets a user",
    async run(context) {
      const { id, email } = await context.createUser();
      const { user } = await context.users.getUser({ id }, context);
      ensure(user?.id === id && user.email === email, "it is not the user who was asked for");
    },
  },
  {
    group: "unary",
    name: "BatchGetUsers gets users in order, and lists the missing ones",
    async run(context) {
      const first = await context.createUser();
      const second = await context.createUser();
      const { users, missingIds } = await context.users.batchGetUsers(
        { ids: [second.id, "nobody", first.id] },
        context,
      );
      ensure(users.map(({ id }) => id).join() === [second.id, first.id].join(), "these are not the users asked for");
      ensure(missingIds.join() === "nobody", "the missing id is not told");
    },
  },
  {
    group: "unary",
    name: "ListUsersPage lists page by page",
    async run(context) {
      await context.createUser();
      await context.createUser();
      const first = await context.users.listUsersPage({ pageSize: 1 }, context);
      ensure(first.users.length === 1, `a page of one had ${first.users.length} users`);
      ensure(first.nextPageToken !== "", "the token of the next page is missing");
      const second = await context.users.listUsersPage({ pageSize: 1, pageToken: first.nextPageToken }, context);
      ensure(second.users.length === 1, `the next page had ${second.users.length} users`);
      ensure(second.users[0]?.id !== first.users[0]?.id, "a user came on two pages");
    },
  },
  {
    group: "unary",
    name: "UpdateUser changes what the mask names",
    async run(context) {
      const { id, email, etag } = await context.createUser();
      const user = { id, etag, name: "Changed", email: "ignored@example.com" };
      const { user: changed } = await context.users.updateUser({ user, updateMask: { paths: ["name"] } }, context);
      ensure(changed?.name === "Changed", "the name did not change");
      ensure(changed.email === email, "a field changed that the mask does not name");
      ensure(changed.etag !== etag, "the etag did not change");
    },
  },
  {
    group: "unary",
    name: "DeleteUser deletes a user for good",
    async run(context) {
      const { id } = await context.createUser();
      const { success } = await context.users.deleteUser({ id }, context);
      ensure(success, "success is false");
      await failureOf(context.users.getUser({ id }, context), Code.NotFound);
      context.forget(id);
    },
  },
];
