import { RequestIdReusedError, TakenError, UserNotFoundError } from "../domain/errors.ts";
import { draftUser, fieldsOf, type User, type UserDraft } from "../domain/user.ts";
import { newUserId } from "../domain/user-id.ts";
import { KnownRequests, requestKey } from "./known-requests.ts";
import type { Cancellable, CreationRequest, NewUser, UserRepository } from "./user-repository.ts";

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
    const plan = this.#plan(users);
    // Nothing waits in between, but the port promises the last word to the signal.
    scope.signal.throwIfAborted();
    const now = Date.now();
    const created: User[] = [];
    for (const step of plan) {
      if (typeof step === "number") created.push(created[step] as User);
      else created.push("emailKey" in step ? this.#insert(step, now) : step);
    }
    return created;
  }

  async update(id: string, change: (user: User) => UserDraft | undefined, scope: Cancellable): Promise<User> {
    scope.signal.throwIfAborted();
    const user = this.#get(id);
    const draft = change(user);
    if (draft === undefined) return user;

    const { emailKey, usernameKey } = draftUser(user);
    if (draft.emailKey !== emailKey && this.#emailKeys.has(draft.emailKey)) throw new TakenError("email");
    if (draft.usernameKey !== usernameKey && this.#hasUsername(draft.usernameKey)) throw new TakenError("username");
    scope.signal.throwIfAborted();

    this.#freeKeys(user);
    const { createdAt } = user;
    const changed = { id, createdAt, updatedAt: Math.max(Date.now(), createdAt), ...this.#keep(draft) };
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
    this.#freeKeys(user);
    this.#byId.delete(id);
    this.#ordered.splice(this.#firstAfter(id) - 1, 1);
  }

  #get(id: string): User {
    const user = this.#byId.get(id);
    if (user === undefined) throw new UserNotFoundError(id);
    return user;
  }

  /** For each new user: what to create, a user who exists, or the position of the same request earlier in the batch. */
  #plan(users: readonly NewUser[]): (NewUser | User | number)[] {
    const emailKeys = new Set<string>();
    const usernameKeys = new Set<string>();
    const requests = new Map<string, number>();
    return users.map((user, index) => {
      const { emailKey, usernameKey, request } = user;
      const known = request && this.#userOf(request, index);
      if (known !== undefined) return known;
      const earlier = request && requests.get(requestKey(request));
      if (earlier !== undefined) {
        if (users[earlier]?.request?.fingerprint !== request?.fingerprint) throw new RequestIdReusedError(index);
        return earlier;
      }

      if (this.#emailKeys.has(emailKey) || emailKeys.has(emailKey)) throw new TakenError("email", index);
      emailKeys.add(emailKey);
      if (usernameKey !== undefined) {
        if (this.#hasUsername(usernameKey) || usernameKeys.has(usernameKey)) throw new TakenError("username", index);
        usernameKeys.add(usernameKey);
      }
      if (request !== undefined) requests.set(requestKey(request), index);
      return user;
    });
  }

  /** The user whom a request has created; undefined if the request is not known. */
  #userOf(request: CreationRequest, index: number): User | undefined {
    const known = this.#requests.find(request);
    if (known === undefined) return undefined;
    if (known.fingerprint !== request.fingerprint) throw new RequestIdReusedError(index);
    return this.#get(known.userId);
  }

  #insert(draft: NewUser, now: number): User {
    const user: User = { id: newUserId(), createdAt: now, updatedAt: now, ...this.#keep(draft) };
    this.#byId.set(user.id, user);
    this.#ordered.push(user);
    if (draft.request !== undefined) this.#requests.add(draft.request, user.id);
    return user;
  }

  /** Takes the keys of a draft, and returns its fields with a revision. */
  #keep(draft: UserDraft): Pick<User, "revision"> & ReturnType<typeof fieldsOf> {
    this.#emailKeys.add(draft.emailKey);
    if (draft.usernameKey !== undefined) this.#usernameKeys.add(draft.usernameKey);
    this.#revision++;
    return { revision: this.#revision, ...fieldsOf(draft) };
  }

  #freeKeys(user: User): void {
    const { emailKey, usernameKey } = draftUser(user);
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
