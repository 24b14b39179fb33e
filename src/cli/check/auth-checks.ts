import { Code, createClient } from "@connectrpc/connect";
import { UserService } from "../../gen/user/v1/user_service_pb.ts";
import { mint } from "../connection.ts";
import { type Check, type CheckContext, failureOf, Skip } from "./check.ts";

/** Who may call. */
export const AUTH_CHECKS: readonly Check[] = [
  {
    group: "auth",
    name: "UNAUTHENTICATED without a token",
    async run({ anonymous, signal }) {
      await failureOf(createClient(UserService, anonymous).getUser({ id: "nobody" }, { signal }), Code.Unauthenticated);
    },
  },
  {
    group: "auth",
    name: "UNAUTHENTICATED with a token that nobody has signed",
    async run(context) {
      await failureOf(getNobody(context, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtYWxsb3J5In0."), Code.Unauthenticated);
    },
  },
  {
    group: "auth",
    name: "PERMISSION_DENIED for users who list others",
    async run(context) {
      if (context.key === undefined) throw new Skip("JWT_SECRET is not set, with which to make a token of a user");
      const token = await mint(context.key, { id: "check", role: "user" });
      const users = createClient(UserService, context.anonymous);
      const options = { signal: context.signal, headers: { authorization: `Bearer ${token}` } };
      await failureOf(users.getUser({ id: "nobody" }, options), Code.NotFound);
      await failureOf(users.listUsersPage({}, options), Code.PermissionDenied);
    },
  },
];

function getNobody({ anonymous, signal }: CheckContext, token: string): Promise<unknown> {
  const headers = { authorization: `Bearer ${token}` };
  return createClient(UserService, anonymous).getUser({ id: "nobody" }, { signal, headers });
}
