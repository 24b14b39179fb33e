import { randomUUID } from "node:crypto";
import { type Client, type Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { nameOf } from "../../client/call-event.ts";
import { type Failure, readFailure } from "../../client/failure.ts";
import { Health } from "../../gen/health/v1/health_pb.ts";
import type { User } from "../../gen/user/v1/user_pb.ts";
import { UserService } from "../../gen/user/v1/user_service_pb.ts";
import type { SigningOptions } from "../../interceptors/token.ts";

/** Something that has to hold for a server. */
export interface Check {
  /** What holds, in a few words. */
  readonly name: string;
  /** Checks of a group are chosen and shown together. */
  readonly group: string;
  /** @throws what shows that it does not hold; Skip if this cannot be told. */
  run(context: CheckContext): Promise<void>;
}

/** It cannot be told whether something holds. */
export class Skip extends Error {
  override readonly name = "Skip";
}

/** Something does not hold. */
export class CheckError extends Error {
  override readonly name = "CheckError";
}

/** What checks are made with. */
export class CheckContext {
  /** Carries calls with the token that was given, or without one if there is none. */
  readonly transport: Transport;
  /** Carries calls without a token. */
  readonly anonymous: Transport;
  /** With which tokens can be made, if it is known. */
  readonly key: SigningOptions | undefined;
  /** Aborted when the user has had enough. */
  readonly signal: AbortSignal;
  readonly users: Client<typeof UserService>;
  readonly health: Client<typeof Health>;
  readonly #run = randomUUID().slice(0, 8);
  /** The users that were created and not deleted yet. */
  readonly #ids = new Set<string>();

  constructor({ transport, anonymous, key, signal }: Pick<CheckContext, "transport" | "anonymous" | "key" | "signal">) {
    this.transport = transport;
    this.anonymous = anonymous;
    this.key = key;
    this.signal = signal;
    this.users = createClient(UserService, transport);
    this.health = createClient(Health, anonymous);
  }

  /** An e-mail address that no other run uses, nor another call. */
  email(name = "check"): string {
    return `${name}.${this.#run}.${randomUUID().slice(0, 8)}@example.com`;
  }

  /** Creates a user, who is deleted at the end. */
  async createUser(): Promise<User> {
    const { user } = await this.users.createUser({ email: this.email(), name: "Check" }, { signal: this.signal });
    if (user === undefined) throw new CheckError("no user came back");
    this.keep(user.id);
    return user;
  }

  /** Notes users whom a check has created: they are deleted at the end. */
  keep(...ids: readonly string[]): void {
    for (const id of ids) this.#ids.add(id);
  }

  /** Notes that a user is deleted. */
  forget(id: string): void {
    this.#ids.delete(id);
  }

  /** Gives `use` a signal that is aborted when it is done, with which its streams end. */
  async streaming<T>(use: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const done = new AbortController();
    try {
      return await use(AbortSignal.any([this.signal, done.signal]));
    } finally {
      done.abort();
    }
  }

  /** Deletes whom the checks have created. Returns how many could not be deleted. */
  async cleanUp(): Promise<number> {
    const ends = await Promise.allSettled([...this.#ids].map((id) => this.users.deleteUser({ id })));
    return ends.filter(({ status }) => status === "rejected").length;
  }
}

/** @throws CheckError unless something holds. */
export function ensure(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new CheckError(otherwise);
}

/**
 * How a call fails that has to, with this code and, if told, for this reason.
 *
 * @throws CheckError if it does not, or in another way.
 */
export async function failureOf(call: Promise<unknown>, code: Code, reason?: string): Promise<Failure> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  ensure(error !== undefined, `succeeded, and should have failed with ${nameOf(code)}`);
  const failure = readFailure(error);
  const same = ConnectError.from(error).code === code;
  ensure(same, `failed with ${failure.code} (${failure.message}), and should have with ${nameOf(code)}`);
  ensure(
    reason === undefined || failure.reason === reason,
    `fails for the reason ${failure.reason ?? "that is not told"}, and should for ${reason}`,
  );
  return failure;
}
