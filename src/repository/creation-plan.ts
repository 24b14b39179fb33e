import { RequestIdReusedError, UserNotFoundError } from "../domain/errors.ts";
import type { User } from "../domain/user.ts";
import type { Claims } from "./claims.ts";
import type { CreationRequest, NewUser } from "./user-repository.ts";

/** A request that has created a user before. */
export interface KnownRequest {
  readonly fingerprint: string;
  readonly userId: string;
  /** The user as they are now; undefined once they are deleted. */
  readonly user: User | undefined;
}

/** What becomes of a new user: it is created, or is one who exists, or the same as one earlier in the batch. */
export type Step = { readonly create: NewUser } | { readonly known: User } | { readonly earlier: number };

/**
 * Decides what becomes of each of these users.
 *
 * @throws TakenError, RequestIdReusedError or UserNotFoundError as UserRepository.create does, for the lowest index.
 */
export function planCreations(
  users: readonly NewUser[],
  claims: Claims,
  find: (request: CreationRequest) => KnownRequest | undefined,
): Step[] {
  const requests = new Map<string, number>();
  return users.map((user, index) => {
    const { request } = user;
    const known = request && find(request);
    if (known !== undefined) return { known: userOf(known, request, index) };
    const earlier = request && requests.get(requestKey(request));
    if (earlier !== undefined) {
      if (users[earlier]?.request?.fingerprint !== request?.fingerprint) throw new RequestIdReusedError(index);
      return { earlier };
    }
    claims.claim(user, index);
    if (request !== undefined) requests.set(requestKey(request), index);
    return { create: user };
  });
}

/** Carries out a plan, in its order, with a function that makes a user; returns the users that it stands for. */
export function carryOut(plan: readonly Step[], create: (user: NewUser) => User): User[] {
  const users: User[] = [];
  for (const step of plan) {
    if ("create" in step) users.push(create(step.create));
    else users.push("known" in step ? step.known : (users[step.earlier] as User));
  }
  return users;
}

/** What tells a request, or an upload, from all others. The id goes first: it has no space, whatever the caller has. */
export function requestKey({ caller, id }: Pick<CreationRequest, "caller" | "id">): string {
  return `${id} ${caller}`;
}

function userOf(known: KnownRequest, request: CreationRequest | undefined, index: number): User {
  if (known.fingerprint !== request?.fingerprint) throw new RequestIdReusedError(index);
  if (known.user === undefined) throw new UserNotFoundError(known.userId);
  return known.user;
}
