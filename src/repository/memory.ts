import { EmailTakenError, UserNotFoundError } from "../domain/errors.ts";
import type { User, UserDraft } from "../domain/user.ts";
import { newUserId } from "../domain/user-id.ts";
import type { Cancellable, UserRepository } from "./user-repository.ts";

/** Keeps users in the memory of this process, for as long as it lives. */
export class MemoryUserRepository implements UserRepository {
  readonly #byId = new Map<string, User>();
  readonly #emails = new Set<string>();
  /** Ascending by id, because ids ascend with time: new users go to the end, and a page is found by bisection. */
  readonly #ordered: User[] = [];

  async get(id: string): Promise<User> {
    const user = this.#byId.get(id);
    if (user === undefined) throw new UserNotFoundError(id);
    return user;
  }

  async list(page: { readonly after: string | undefined; readonly limit: number }): Promise<User[]> {
    const start = page.after === undefined ? 0 : this.#firstAfter(page.after);
    return this.#ordered.slice(start, start + page.limit);
  }

  async create(drafts: readonly UserDraft[], scope: Cancellable): Promise<User[]> {
    scope.signal.throwIfAborted();
    this.#refuseTakenEmails(drafts);
    // Nothing waits in between, but the port promises the last word to the signal.
    scope.signal.throwIfAborted();
    const createdAt = Date.now();
    return drafts.map((draft) => this.#insert(draft, createdAt));
  }

  #refuseTakenEmails(drafts: readonly UserDraft[]): void {
    const earlier = new Set<string>();
    for (const [index, { email }] of drafts.entries()) {
      if (this.#emails.has(email.normalized) || earlier.has(email.normalized)) throw new EmailTakenError(index);
      earlier.add(email.normalized);
    }
  }

  #insert({ email, name, role }: UserDraft, createdAt: number): User {
    const user: User = { id: newUserId(), email: email.given, name, createdAt, role };
    this.#byId.set(user.id, user);
    this.#emails.add(email.normalized);
    this.#ordered.push(user);
    return user;
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
