import { isPrincipalRole, PRINCIPAL_ROLES } from "../domain/principal.ts";
import { EX_CONFIG } from "../exit-codes.ts";
import { signToken } from "../interceptors/token.ts";
import { CommandError, defineCommand, UsageError } from "./command.ts";
import { readTokenKey } from "./token-key.ts";

const SECONDS_PER_HOUR = 3600;
const MAX_HOURS = 24 * 365;

/** Mints a token that a server with the same JWT_SECRET believes, and prints it alone, so that a shell can take it. */
export const token = defineCommand({
  about: "Reads JWT_SECRET or JWT_SECRET_FILE, JWT_ISSUER and JWT_AUDIENCE as the server does.",
  options: {
    subject: { type: "string", value: "ID", about: "who calls: a user id, or the name of a service" },
    role: { type: "string", value: "ROLE", about: `one of ${PRINCIPAL_ROLES.join(", ")}`, default: "user" },
    hours: { type: "string", value: "NUMBER", about: "for how long it is valid", default: "24" },
  },
  examples: ["export TOKEN=$(user-service token --subject alice --role admin)"],
  exits: { [EX_CONFIG]: "there is no key, or it is wrong" },
  async run({ subject, role, hours: text }, _operand, { stdout, environment }) {
    const hours = Number(text);
    if (!subject) throw new UsageError("--subject must name a user id or a service, such as --subject alice");
    if (!isPrincipalRole(role)) throw new UsageError(`--role must be one of ${PRINCIPAL_ROLES.join(", ")}`);
    if (!(hours > 0 && hours <= MAX_HOURS))
      throw new UsageError(`--hours must be a number above 0, up to ${MAX_HOURS}`);
    const key = readTokenKey(environment);
    if (key === undefined) {
      throw new CommandError(
        EX_CONFIG,
        "JWT_SECRET: must be set, to the key of the server; a server without one prints its own token",
      );
    }
    stdout.write(`${await signToken(key, { id: subject, role }, Math.ceil(hours * SECONDS_PER_HOUR))}\n`);
    return 0;
  },
});
