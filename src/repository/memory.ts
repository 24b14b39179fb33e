import { RequestIdReusedError, TakenError, UserNotFoundError } from "../domain/errors.ts";
import { draftUser, toUser, type User, type UserDraft } from "../domain/user.ts";
import { newUserId } from "../domain/user-id.ts";
import { Claims } from "./claims.ts";
import { KnownRequests, requestKey } from "./known-requests.ts";
import type { Cancellable, CreationRequest, NewUser, UserRepository } from "./user-repository.ts";

/** What becomes of a new user: it is created, or is one who exists, or the same as one earlier in the batch. */
type Step = { readonly create: NewUser } | { readonly known: User } | { readonly earlier: number };

/** Keeps users in the memory of this process, for as long as it lives. No method waits, so none can be interrupted. */
export class MemoryUserRepository implements UserRepository {
  readonly #byId = new Map<string, User>();
  readonly #emailKeys = new Set<string>();
  readonly #usernameKeys = new Set<string>();
  /** Ascending by id, because ids ascend with time: new users go to the end, and a page is found by bisection. */
  readonly #ordered: User[] = [];
  readonly #requests = new KnownRequests();
  #revision = 0;

  async get(id: string): Promise<User> {
    return this.#get(id);
  }

  async getMany(ids: readonly string[]): Promise<(User | undefined)[]> {
    return ids.map((id) => this.#byId.get(id));
  }

  async list(page: { readonly after: string | undefined; readonly limit: number }): Promise<User[]> {
    const start = page.after === undefined ? 0 : this.#firstAfter(page.after);
    return this.#ordered.slice(start, start + page.limit);
  }

  isSuspended(id: string): boolean {
    return this.#byId.get(id)?.status === "suspended";
  }

  async create(users: readonly NewUser[], scope: Cancellable): Promise<User[]> {
    scope.signal.throwIfAborted();
    const claims = new Claims(this.#emailKeys, this.#usernameKeys);
    try {
      const plan = this.#plan(users, claims);
      // Nothing waits in between, but the port promises the last word to the signal.
      scope.signal.throwIfAborted();
      return this.#carryOut(plan);
    } catch (error) {
      claims.release();
      throw error;
    }
  }

  async update(id: string, change: (user: User) => UserDraft | undefined, scope: Cancellable): Promise<User> {
    scope.signal.throwIfAborted();
    const user = this.#get(id);
    const draft = change(user);
    if (draft === undefined) return user;

    const before = draftUser(user);
    if (draft.emailKey !== before.emailKey && this.#emailKeys.has(draft.emailKey)) throw new TakenError("email");
    if (draft.usernameKey !== before.usernameKey && this.#hasUsername(draft.usernameKey))
      throw new TakenError("username");
    scope.signal.throwIfAborted();

    this.#freeKeys(before);
    new Claims(this.#emailKeys, this.#usernameKeys).claim(draft);
    const changed = this.#stamp(draft, id, user.createdAt, Math.max(Date.now(), user.updatedAt));
    this.#byId.set(id, changed);
    this.#ordered[this.#firstAfter(id) - 1] = changed;
    return changed;
  }

  async delete(id: string, check: (user: User) => void, scope: Cancellable): Promise<void> {
    scope.signal.throwIfAborted();
    const user = this.#get(id);
    check(user);
    scope.signal.throwIfAborted();
    this.#revision++;
    this.#freeKeys(draftUser(user));
    this.#byId.delete(id);
    this.#ordered.splice(this.#firstAfter(id) - 1, 1);
  }

  #get(id: string): User {
    const user = this.#byId.get(id);
    if (user === undefined) throw new UserNotFoundError(id);
    return user;
  }

  #plan(users: readonly NewUser[], claims: Claims): Step[] {
    const requests = new Map<string, number>();
    return users.map((user, index) => {
      const { request } = user;
      const known = request && this.#userOf(request, index);
      if (known !== undefined) return { known };
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

  #carryOut(plan: readonly Step[]): User[] {
    const now = Date.now();
    const users: User[] = [];
    for (const step of plan) {
      if ("create" in step) users.push(this.#insert(step.create, now));
      else users.push("known" in step ? step.known : (users[step.earlier] as User));
    }
    return users;
  }

  /** The user whom a request has created; undefined if the request is not known. */
  #userOf(request: CreationRequest, index: number): User | undefined {
    const known = this.#requests.find(request);
    if (known === undefined) return undefined;
    if (known.fingerprint !== request.fingerprint) throw new RequestIdReusedError(index);
    return this.#get(known.userId);
  }

  #insert(draft: NewUser, now: number): User {
    const user = this.#stamp(draft, newUserId(), now, now);
    this.#byId.set(user.id, user);
    this.#ordered.push(user);
    if (draft.request !== undefined) this.#requests.add(draft.request, user.id);
    return user;
  }

  /** The user that a draft becomes, with the next revision. */
  #stamp(draft: UserDraft, id: string, createdAt: number, updatedAt: number): User {
    this.#revision++;
    return toUser(draft, { id, createdAt, updatedAt, revision: this.#revision });
  }

  #freeKeys({ emailKey, usernameKey }: UserDraft): void {
    this.#emailKeys.delete(emailKey);
    if (usernameKey !== undefined) this.#usernameKeys.delete(usernameKey);
  }

  #hasUsername(key: string | undefined): boolean {
    return key !== undefined && this.#usernameKeys.has(key);
  }

  /** The position of the first user whose id is greater than `id`. */
  #firstAfter(id: string): number {
    let low = 0;
    let high = this.#ordered.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const user = this.#ordered[middle];
      if (user !== undefined && user.id <= id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
