import type { Metadata } from "@grpc/grpc-js";
import type { CallPolicy } from "../contract/policy.ts";
import { CallerSuspendedError, PermissionDeniedError } from "../domain/errors.ts";
import { PRINCIPAL_ROLES, type Principal, type PrincipalRole } from "../domain/principal.ts";
import { Access } from "../gen/policy/v1/policy_pb.ts";
import { recordOf } from "../grpc/call-record.ts";
import { UnauthenticatedError } from "../grpc/errors.ts";
import { type Interceptor, PassThrough } from "./pass-through.ts";

/**
 * Finds out who calls: the principal at once where that is possible, else a promise of it.
 *
 * @throws UnauthenticatedError, or rejects with it, if the metadata proves no identity.
 */
export type Authenticate = (metadata: Metadata) => Principal | Promise<Principal>;

/** The roles that are admitted whatever the request says. */
const ADMITTED: Readonly<Record<Access, readonly PrincipalRole[]>> = {
  [Access.UNSPECIFIED]: [],
  [Access.PUBLIC]: PRINCIPAL_ROLES,
  [Access.AUTHENTICATED]: PRINCIPAL_ROLES,
  [Access.SELF_OR_ADMIN]: ["admin"],
  [Access.ADMIN_OR_SERVICE]: ["admin", "service"],
};

/**
 * Admits the callers whom the policy of the method allows, and tells the handler who they are. The others get
 * UNAUTHENTICATED if they prove no identity, and PERMISSION_DENIED if it is the wrong one. Public methods never ask.
 */
export function createAuth(authenticate: Authenticate, policyOf: (path: string) => CallPolicy): Interceptor {
  return ({ path }, call) => {
    const policy = policyOf(path);
    return policy.access === Access.PUBLIC ? call : new AuthenticatedCall(call, authenticate, policy);
  };
}

class AuthenticatedCall extends PassThrough {
  readonly #authenticate: Authenticate;
  readonly #policy: CallPolicy;
  #principal: Principal | undefined;
  #admitted = false;
  #ended = false;

  constructor(outer: PassThrough["outer"], authenticate: Authenticate, policy: CallPolicy) {
    super(outer);
    this.#authenticate = authenticate;
    this.#policy = policy;
  }

  override onReceiveMetadata(metadata: Metadata): void {
    try {
      const principal = this.#authenticate(metadata);
      if (principal instanceof Promise) void this.#await(principal, metadata);
      else this.#identify(principal, metadata);
    } catch (error) {
      this.#refuse(error);
    }
  }

  override onReceiveMessage(message: unknown): void {
    this.#admitted ||= this.#mayTouch(message);
    if (this.#admitted) super.onReceiveMessage(message);
    else this.#refuse(notSelf());
  }

  override onReceiveHalfClose(): void {
    if (this.#admitted) super.onReceiveHalfClose();
    else this.#refuse(notSelf());
  }

  override onCancel(): void {
    this.#ended = true;
    super.onCancel();
  }

  async #await(pending: Promise<Principal>, metadata: Metadata): Promise<void> {
    try {
      this.#identify(await pending, metadata);
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** Whoever may call only for themselves is admitted later, by the first message. */
  #identify(principal: Principal, metadata: Metadata): void {
    if (this.#ended) return;
    this.#principal = principal;
    this.#admitted = ADMITTED[this.#policy.access]?.includes(principal.role) ?? false;
    if (!this.#admitted && this.#policy.subjectOf === undefined) {
      throw new PermissionDeniedError("only an admin or a service may do this");
    }
    recordOf(metadata).principal = principal;
    super.onReceiveMetadata(metadata);
  }

  #mayTouch(message: unknown): boolean {
    // The name of a service may happen to be a user's id.
    return this.#principal?.role === "user" && this.#policy.subjectOf?.(message) === this.#principal.id;
  }

  #refuse(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.refuse(error);
  }
}

function notSelf(): PermissionDeniedError {
  return new PermissionDeniedError("only the user concerned or an admin may do this");
}

/** Finds out who calls as `authenticate` does, but refuses users who are suspended, with a CallerSuspendedError. */
export function exceptSuspended(
  authenticate: Authenticate,
  isSuspended: (userId: string) => boolean | Promise<boolean>,
): Authenticate {
  const admit = (principal: Principal): Principal | Promise<Principal> => {
    // The name of a service may happen to be a user's id.
    if (principal.role === "service") return principal;
    const suspended = isSuspended(principal.id);
    if (suspended === false) return principal;
    return Promise.resolve(suspended).then((is) => (is ? Promise.reject(new CallerSuspendedError()) : principal));
  };
  return (metadata) => {
    const principal = authenticate(metadata);
    return principal instanceof Promise ? principal.then(admit) : admit(principal);
  };
}

/**
 * What a call shows to prove who makes it.
 *
 * @throws UnauthenticatedError unless it is exactly one thing.
 */
export function authorizationOf(metadata: Metadata): string {
  const values = metadata.get("authorization");
  const [value] = values;
  if (typeof value !== "string" || values.length > 1) throw new UnauthenticatedError();
  return value;
}
