import type { Metadata } from "@grpc/grpc-js";
import type { CallPolicy } from "../contract/policy.ts";
import { CallerSuspendedError, PermissionDeniedError } from "../domain/errors.ts";
import { PRINCIPAL_ROLES, type Principal, type PrincipalRole } from "../domain/principal.ts";
import { Access } from "../gen/policy/v1/policy_pb.ts";
import { recordOf } from "../grpc/call-record.ts";
import { ProofExpiredError, UnauthenticatedError } from "../grpc/errors.ts";
import type { CallStatus } from "../grpc/status-object.ts";
import type { Authenticate, Identity } from "./identity.ts";
import { type Interceptor, PassThrough } from "./pass-through.ts";

/** The roles that a method with such an access admits, whatever the request says. */
export const ADMITTED: Readonly<Record<Access, readonly PrincipalRole[]>> = {
  [Access.UNSPECIFIED]: [],
  [Access.PUBLIC]: PRINCIPAL_ROLES,
  [Access.AUTHENTICATED]: PRINCIPAL_ROLES,
  [Access.SELF_OR_ADMIN]: ["admin"],
  [Access.ADMIN_OR_SERVICE]: ["admin", "service"],
};

/**
 * Admits the callers whom the policy of the method allows, and tells the handler who they are. The others get
 * UNAUTHENTICATED if they prove no identity, and PERMISSION_DENIED if it is the wrong one. Public methods never ask.
 *
 * A call that may go on for ever ends with UNAUTHENTICATED when the proof expires, and with PERMISSION_DENIED when the
 * caller is suspended, of which `watchSuspension` tells; see Application.
 */
export function createAuth(
  authenticate: Authenticate,
  policyOf: (path: string) => CallPolicy,
  watchSuspension: WatchSuspension = watchNobody,
): Interceptor {
  return ({ path }, call) => {
    const policy = policyOf(path);
    if (policy.access === Access.PUBLIC) return call;
    if (policy.longestDeadlineMs < Number.POSITIVE_INFINITY) return new AuthenticatedCall(call, authenticate, policy);
    return new LivingCall(call, authenticate, policy, watchSuspension);
  };
}

/** Calls `onSuspended` when a user is suspended, never at once. Returns a function that ends this. */
export type WatchSuspension = (userId: string, onSuspended: () => void) => () => void;

const watchNobody: WatchSuspension = () => () => {};

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
      const identity = this.#authenticate(metadata, this.wire);
      if (identity instanceof Promise) void this.#await(identity, metadata);
      else this.#identify(identity, metadata);
    } catch (error) {
      this.refuse(error);
    }
  }

  override onReceiveMessage(message: unknown): void {
    this.#admitted ||= this.#mayTouch(message);
    if (this.#admitted) super.onReceiveMessage(message);
    else this.refuse(notSelf());
  }

  override onReceiveHalfClose(): void {
    if (this.#admitted) super.onReceiveHalfClose();
    else this.refuse(notSelf());
  }

  override onCancel(): void {
    this.#ended = true;
    super.onCancel();
  }

  /** Ends the call once, whatever refuses it first. */
  protected override refuse(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    super.refuse(error);
  }

  /** Is told who calls, before the handler is. */
  protected onIdentified(_identity: Identity): void {}

  async #await(pending: Promise<Identity>, metadata: Metadata): Promise<void> {
    try {
      this.#identify(await pending, metadata);
    } catch (error) {
      this.refuse(error);
    }
  }

  /** Whoever may call only for themselves is admitted later, by the first message. */
  #identify(identity: Identity, metadata: Metadata): void {
    if (this.#ended) return;
    const { principal } = identity;
    this.#principal = principal;
    this.#admitted = ADMITTED[this.#policy.access]?.includes(principal.role) ?? false;
    if (!this.#admitted && this.#policy.subjectOf === undefined) {
      throw new PermissionDeniedError("only an admin or a service may do this");
    }
    recordOf(metadata).principal = principal;
    this.onIdentified(identity);
    super.onReceiveMetadata(metadata);
  }

  #mayTouch(message: unknown): boolean {
    // The name of a service may happen to be a user's id.
    return this.#principal?.role === "user" && this.#policy.subjectOf?.(message) === this.#principal.id;
  }
}

/** Timers take no longer delay. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** A call without a deadline, which ends when its caller would not be admitted any more. */
class LivingCall extends AuthenticatedCall {
  readonly #watchSuspension: WatchSuspension;
  #timer: NodeJS.Timeout | undefined;
  #unwatch: (() => void) | undefined;

  constructor(
    outer: PassThrough["outer"],
    authenticate: Authenticate,
    policy: CallPolicy,
    watchSuspension: WatchSuspension,
  ) {
    super(outer, authenticate, policy);
    this.#watchSuspension = watchSuspension;
  }

  override sendStatus(status: CallStatus): void {
    this.#release();
    super.sendStatus(status);
  }

  override onCancel(): void {
    this.#release();
    super.onCancel();
  }

  protected override onIdentified({ principal, expiresAtMs }: Identity): void {
    if (expiresAtMs < Number.POSITIVE_INFINITY) this.#endAt(expiresAtMs);
    // The name of a service may happen to be a user's id.
    if (principal.role === "service") return;
    this.#unwatch = this.#watchSuspension(principal.id, () => this.refuse(new CallerSuspendedError()));
  }

  #release(): void {
    clearTimeout(this.#timer);
    this.#unwatch?.();
    this.#unwatch = undefined;
  }

  #endAt(expiresAtMs: number): void {
    const left = expiresAtMs - Date.now();
    const onTime = (): void => (left > MAX_DELAY_MS ? this.#endAt(expiresAtMs) : this.refuse(new ProofExpiredError()));
    this.#timer = setTimeout(onTime, Math.min(left, MAX_DELAY_MS));
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
  const admit = (identity: Identity): Identity | Promise<Identity> => {
    const { id, role } = identity.principal;
    // The name of a service may happen to be a user's id.
    if (role === "service") return identity;
    const suspended = isSuspended(id);
    if (suspended === false) return identity;
    return Promise.resolve(suspended).then((is) => (is ? Promise.reject(new CallerSuspendedError()) : identity));
  };
  return (metadata, wire) => {
    const identity = authenticate(metadata, wire);
    return identity instanceof Promise ? identity.then(admit) : admit(identity);
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
