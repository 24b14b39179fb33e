import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { type CallPolicy, readPolicies } from "../src/contract/policy.ts";
import { Access, method_policy } from "../src/gen/policy/v1/policy_pb.ts";
import { UserService } from "../src/gen/user/v1/user_service_pb.ts";
import { ADMITTED } from "../src/interceptors/auth.ts";

/** Who may call, as the page tells them apart. `self` is the user whom the request names, `user` any other. */
export const CALLERS = ["nobody", "user", "self", "admin", "service", "suspended"] as const;

/** One of them. */
export type Caller = (typeof CALLERS)[number];

/** What becomes of a call, before its handler sees it. */
export type Verdict = "OK" | "UNAUTHENTICATED" | "PERMISSION_DENIED";

/** The methods of the contract, each with what becomes of the calls of everybody. */
export function authorizationMatrix(): ReadonlyMap<DescMethod, Readonly<Record<Caller, Verdict>>> {
  const verdicts = [...readPolicies([UserService])].map(([method, policy]) => {
    const row = CALLERS.map((caller) => [caller, verdictOf(policy, caller)]);
    return [method, Object.fromEntries(row) as Record<Caller, Verdict>] as const;
  });
  return new Map(verdicts);
}

function verdictOf({ access, subjectOf }: CallPolicy, caller: Caller): Verdict {
  if (access === Access.PUBLIC) return "OK";
  if (caller === "nobody") return "UNAUTHENTICATED";
  if (caller === "suspended") return "PERMISSION_DENIED";
  const role = caller === "self" ? "user" : caller;
  const concerned = caller === "self" && subjectOf !== undefined;
  return concerned || ADMITTED[access]?.includes(role) ? "OK" : "PERMISSION_DENIED";
}

/** The page of the documentation that tells who may call what. */
export function authorizationPage(): string {
  const rows = [...authorizationMatrix()].map(([method, row]) => {
    const { selfField } = getOption(method, method_policy);
    return [`\`${method.name}\``, selfField && `\`${selfField}\``, ...CALLERS.map((caller) => row[caller])];
  });
  return `# Who may call what

<!-- Made from the contract by \`npm run docs\`: change the policies in proto/user/v1, not this page. -->

Each method states in the contract who may call it (\`policy.v1.method_policy\`). The server reads it there, and
so does this page. OK means that the call gets to its method, which may still refuse what it asks for.

${table(["Method", "Names the user in", "Anonymous", "Another user", "The user concerned", "Admin", "Service", "Suspended"], rows)}

- **Anonymous** is who proves no identity: no token, one that is not good (whatever is wrong with it, the answer
  is the same), or a client certificate that stands for no service. The reason is \`TOKEN_INVALID\`.
- **The user concerned** is the one whose id the first message of the request holds in the field named beside
  the method. Where none is named, all users are alike.
- **Admin** and **service** are roles that the token states; a client certificate stands for a service. A
  service is no user, even if its name is a user's id. The reason of these refusals is \`CALLER_NOT_ALLOWED\`.
- **Suspended** is a user whose status is \`USER_STATUS_SUSPENDED\`, an admin too. Streams of theirs that live
  (\`WatchUsers\`, \`Chat\`, \`CollaborativeEdit\`) end as soon as the replica hears of it; calls with a deadline go
  on. The reason is \`CALLER_SUSPENDED\`.

Beyond the methods:

- Only an admin sets the role or the status of a user: a creation with others than \`USER_ROLE_USER\` and
  \`USER_STATUS_ACTIVE\`, and a change of one of them, fails with PERMISSION_DENIED where anybody else asks for
  it, in \`CreateUser\`, \`CreateUsers\`, \`UpdateUser\` and \`UploadUserData\`.
- In \`Chat\`, a text in a room bears the id of the caller, whatever it says itself.
- Health (\`grpc.health.v1\`) and reflection (\`grpc.reflection.v1\` and \`v1alpha\`) are for everybody.
- With \`AUTH=none\` everybody is an admin.
`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n");
}
