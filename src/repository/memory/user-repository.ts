import { TakenError, UserNotFoundError } from "../../domain/errors.ts";
import { draftUser, toChangedUser, toUser, type User, type UserDraft } from "../../domain/user.ts";
import { newUserId } from "../../domain/user-id.ts";
import type { ChangeLog, ChangeRetention } from "../change-log.ts";
import { Claims } from "../claims.ts";
import { carryOut, type KnownRequest, planCreations } from "../creation-plan.ts";
import type { Cancellable } from "../scope.ts";
import type { CreationRequest, NewUser, UserPage, UserRepository } from "../user-repository.ts";
import { MemoryChangeLog } from "./change-log.ts";
import { KnownRequests } from "./known-requests.ts";
import { OwnedKeys } from "./owned-keys.ts";

/** Keeps users in the memory of this process, for as long as it lives. No method waits, so none can be interrupted. */
export class MemoryUserRepository implements UserRepository {
  readonly keepsUsers = true;
  readonly #byId = new Map<string, User>();
  readonly #emailKeys = new OwnedKeys();
  readonly #usernameKeys = new OwnedKeys();
  /** Ascending by id, because ids ascend with time: new users go to the end, and a page is found by bisection. */
  readonly #ordered: User[] = [];
  readonly #requests = new KnownRequests();
  readonly #changes: MemoryChangeLog;

  readonly #onDeleted: (userId: string) => void;

  /** `onDeleted` is told of each user who is deleted, so that others let go of what they know of them. */
  constructor(retention: ChangeRetention, onDeleted: (userId: string) => void = () => {}) {
    this.#changes = new MemoryChangeLog(retention);
    this.#onDeleted = onDeleted;
  }

  get changes(): ChangeLog {
    return this.#changes;
  }

  async get(id: string): Promise<User> {
    return this.#get(id);
  }

  async getMany(ids: readonly string[]): Promise<(User | undefined)[]> {
    return ids.map((id) => this.#byId.get(id));
  }

  async list(page: UserPage): Promise<User[]> {
    const start = page.after === undefined ? 0 : this.#firstAfter(page.after);
    return this.#ordered.slice(start, start + page.limit);
  }

  async listAsOf(page: UserPage): Promise<{ users: User[]; revision: number }> {
    // Nothing changes between the two.
    const [users, revision] = await Promise.all([this.list(page), this.#changes.latest()]);
    return { users, revision };
  }

  isSuspended(id: string): boolean {
    return this.#byId.get(id)?.status === "suspended";
  }

  async create(users: readonly NewUser[], scope: Cancellable): Promise<User[]> {
    scope.signal.throwIfAborted();
    const claims = new Claims(this.#emailKeys, this.#usernameKeys);
    try {
      const plan = planCreations(users, claims, (request) => this.#known(request));
      // Nothing waits in between, but the port promises the last word to the signal.
      scope.signal.throwIfAborted();
      const now = Date.now();
      return carryOut(plan, (user) => this.#insert(user, now));
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
    this.#giveKeys(draft, id);
    const changed = toChangedUser(user, draft);
    this.#byId.set(id, changed);
    this.#ordered[this.#firstAfter(id) - 1] = changed;
    this.#changes.append("updated", id);
    return changed;
  }

  async delete(id: string, check: (user: User) => void, scope: Cancellable): Promise<void> {
    scope.signal.throwIfAborted();
    const user = this.#get(id);
    check(user);
    scope.signal.throwIfAborted();
    this.#freeKeys(draftUser(user));
    this.#byId.delete(id);
    this.#ordered.splice(this.#firstAfter(id) - 1, 1);
    this.#changes.append("deleted", id);
    this.#onDeleted(id);
  }

  /** The user with an e-mail address, at once. */
  withEmail(emailKey: string): User | undefined {
    const id = this.#emailKeys.ownerOf(emailKey);
    return id === undefined ? undefined : this.#byId.get(id);
  }

  /** The id of the user who has a username, at once. */
  ownerOf(usernameKey: string): string | undefined {
    return this.#usernameKeys.ownerOf(usernameKey);
  }

  #get(id: string): User {
    const user = this.#byId.get(id);
    if (user === undefined) throw new UserNotFoundError(id);
    return user;
  }

  #known(request: CreationRequest): KnownRequest | undefined {
    const known = this.#requests.find(request);
    return known && { ...known, user: this.#byId.get(known.userId) };
  }

  #insert(draft: NewUser, now: number): User {
    const user = toUser(draft, { id: newUserId(), createdAt: now, updatedAt: now, version: 1 });
    this.#giveKeys(draft, user.id);
    this.#byId.set(user.id, user);
    this.#ordered.push(user);
    this.#changes.append("created", user.id, now);
    if (draft.request !== undefined) this.#requests.add(draft.request, user.id);
    return user;
  }

  #giveKeys({ emailKey, usernameKey }: UserDraft, id: string): void {
    this.#emailKeys.give(emailKey, id);
    if (usernameKey !== undefined) this.#usernameKeys.give(usernameKey, id);
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
