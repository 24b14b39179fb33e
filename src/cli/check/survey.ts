import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { UserService } from "../../gen/user/v1/user_service_pb.ts";
import { wantsTls } from "../connection.ts";
import { findReflection } from "../reflection.ts";
import { AUTH_CHECKS } from "./auth-checks.ts";
import { type Check, type CheckContext, failureOf, Skip } from "./check.ts";
import { ERROR_CHECKS } from "./error-checks.ts";
import { HEALTH_CHECKS, OWN_HEALTH_CHECKS } from "./health-checks.ts";
import { METADATA_CHECKS } from "./metadata-checks.ts";
import { OWN_REFLECTION_CHECKS, REFLECTION_CHECKS } from "./reflection-checks.ts";
import { STREAMING_CHECKS } from "./streaming-checks.ts";
import { UNARY_CHECKS } from "./unary-checks.ts";

/** What has been found out about a server before it is checked. */
export interface Survey {
  /** Whether it serves user.v1.UserService. */
  readonly servesUsers: boolean;
  /** Whether the users can be called; why not, otherwise. */
  readonly refused: string | undefined;
  /** What has to hold for it. */
  readonly checks: readonly Check[];
}

/** The names of all groups, in their order. */
export const GROUPS: readonly string[] = [
  ...new Set(
    [HEALTH_CHECKS, REFLECTION_CHECKS, AUTH_CHECKS, UNARY_CHECKS, STREAMING_CHECKS, ERROR_CHECKS, METADATA_CHECKS]
      .flat()
      .map(({ group }) => group),
  ),
];

/**
 * Finds out what a server serves, and so what has to hold for it.
 *
 * @throws ConnectError if it speaks TLS, and calls do not: see wantsTls.
 */
export async function survey(context: CheckContext): Promise<Survey> {
  const reflection = await findReflection(context.anonymous).catch(() => undefined);
  const anonymous = await codeOf(createClient(UserService, context.anonymous).getUser({ id: "nobody" }, context));
  const services = await reflection?.services().catch(() => undefined);
  const servesUsers = services?.includes(UserService.typeName) ?? anonymous !== Code.Unimplemented;
  const general = [...HEALTH_CHECKS, ...REFLECTION_CHECKS];
  if (!servesUsers) return { servesUsers, refused: undefined, checks: general };

  const known = await codeOf(context.users.getUser({ id: "nobody" }, context));
  const isRefused = known === Code.Unauthenticated || known === Code.PermissionDenied;
  const refused = isRefused ? "the server does not let these calls in: set TOKEN, or JWT_SECRET" : undefined;
  const calls = [...UNARY_CHECKS, ...STREAMING_CHECKS, ...ERROR_CHECKS, ...METADATA_CHECKS];
  const isOpen = anonymous !== Code.Unauthenticated;
  return {
    servesUsers,
    refused,
    checks: [
      ...[...general.filter(isHealth), ...OWN_HEALTH_CHECKS],
      ...[...general.filter((check) => !isHealth(check)), ...OWN_REFLECTION_CHECKS],
      ...[
        TOKEN_CHECK,
        ...(isOpen ? AUTH_CHECKS.map((each) => skipped(each, "the server wants no token")) : AUTH_CHECKS),
      ],
      ...(refused === undefined ? calls : calls.map((each) => skipped(each, refused))),
    ],
  };
}

const TOKEN_CHECK: Check = {
  group: "auth",
  name: "the calls of this check are let in",
  async run({ users, signal }) {
    await failureOf(users.getUser({ id: "nobody" }, { signal }), Code.NotFound);
  },
};

function isHealth({ group }: Check): boolean {
  return group === "health";
}

function skipped(check: Check, reason: string): Check {
  return {
    ...check,
    async run() {
      throw new Skip(reason);
    },
  };
}

/** How a call ends; undefined for OK. Throws if it never began. */
async function codeOf(call: Promise<unknown>): Promise<Code | undefined> {
  return call.then(
    () => undefined,
    (error: unknown) => {
      if (wantsTls(error)) throw error;
      return ConnectError.from(error).code;
    },
  );
}
