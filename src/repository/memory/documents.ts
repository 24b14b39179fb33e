import { OperationsExpiredError, UserNotFoundError } from "../../domain/errors.ts";
import { draftUser, toProfile, type User } from "../../domain/user.ts";
import type {
  AppliedOperation,
  Documents,
  DocumentText,
  OperationRetention,
  Outcome,
  Submission,
} from "../documents.ts";
import { catchUp, EditPlan, type KeptDocument } from "../edit-plan.ts";
import type { Cancellable } from "../scope.ts";
import type { MemoryUserRepository } from "./user-repository.ts";

/** Keeps the operations of documents in the memory of this process, and the texts with its users. No method waits. */
export class MemoryDocuments implements Documents {
  readonly #users: MemoryUserRepository;
  readonly #retention: OperationRetention;
  readonly #documents = new Map<string, MemoryDocument>();

  constructor(users: MemoryUserRepository, retention: OperationRetention) {
    this.#users = users;
    this.#retention = retention;
    users.onDeleted((id) => this.#documents.delete(id));
  }

  /** How many documents somebody has read or edited. */
  get size(): number {
    return this.#documents.size;
  }

  async read(userId: string): Promise<DocumentText & { readonly caughtUp: boolean }> {
    const bio = bioOf(this.#user(userId));
    const document = this.#open(userId, bio);
    const change = catchUp(document, bio);
    if (change !== undefined) document.add([change], bio);
    return { revision: document.revision, text: bio, caughtUp: change !== undefined };
  }

  async latest(userId: string): Promise<number> {
    this.#user(userId);
    return this.#documents.get(userId)?.revision ?? 0;
  }

  async list(
    userId: string,
    { after, limit }: { readonly after: number; readonly limit: number },
  ): Promise<AppliedOperation[]> {
    this.#user(userId);
    const document = this.#documents.get(userId);
    if (document === undefined) return [];
    document.forget();
    if (after < document.expiredThrough) throw new OperationsExpiredError();
    return document.after(after, limit);
  }

  async apply(userId: string, submissions: readonly Submission[], scope: Cancellable): Promise<Outcome[]> {
    scope.signal.throwIfAborted();
    const user = this.#user(userId);
    const document = this.#open(userId, bioOf(user));
    document.forget();
    const plan = new EditPlan(document, submissions, document.known);
    for (const operation of document.after(plan.since)) plan.passOver(operation);
    const outcomes = plan.finish(bioOf(user));
    document.add(plan.added, plan.text.text);
    if (plan.changesUser) {
      const profile = toProfile({ ...user.profile, bio: plan.text.text });
      await this.#users.update(userId, (current) => draftUser({ ...current, profile }), scope);
    }
    return outcomes;
  }

  #user(id: string): User {
    const user = this.#users.find(id);
    if (user === undefined) throw new UserNotFoundError(id);
    return user;
  }

  #open(userId: string, bio: string): MemoryDocument {
    let document = this.#documents.get(userId);
    if (document === undefined) {
      document = new MemoryDocument(bio, this.#retention);
      this.#documents.set(userId, document);
    }
    return document;
  }
}

class MemoryDocument implements KeptDocument {
  /** The revisions of the operations that are kept, by their ids. */
  readonly known = new Map<string, number>();
  readonly #retention: OperationRetention;
  #text: string;
  /** Without gaps. Those before #start are no longer kept, and go many at a time. */
  #operations: AppliedOperation[] = [];
  /** When each was applied, in milliseconds since the Unix epoch. */
  #times: number[] = [];
  #start = 0;
  #offset = 1;

  constructor(text: string, retention: OperationRetention) {
    this.#text = text;
    this.#retention = retention;
  }

  get revision(): number {
    return this.#offset + this.#operations.length - 1;
  }

  get text(): string {
    return this.#text;
  }

  get expiredThrough(): number {
    return this.#offset + this.#start - 1;
  }

  /** The operations after a revision, all of which are kept. */
  after(revision: number, limit = Number.POSITIVE_INFINITY): AppliedOperation[] {
    const from = revision + 1 - this.#offset;
    return this.#operations.slice(from, from + limit);
  }

  /** Adds operations of this moment, which make the text this one. */
  add(operations: readonly AppliedOperation[], text: string): void {
    const now = Date.now();
    for (const operation of operations) {
      this.#operations.push(operation);
      this.#times.push(now);
      if (operation.operationId !== "") this.known.set(operation.operationId, operation.revision);
    }
    this.#text = text;
    this.forget();
  }

  /** Forgets what is no longer kept. */
  forget(): void {
    const { maxCount, maxAgeMs } = this.#retention;
    const oldest = Date.now() - maxAgeMs;
    const surplus = this.#operations.length - maxCount;
    for (;;) {
      const first = this.#operations[this.#start];
      const time = this.#times[this.#start] ?? 0;
      if (first === undefined || (this.#start >= surplus && time >= oldest)) break;
      this.known.delete(first.operationId);
      this.#start++;
    }
    if (this.#start <= this.#operations.length / 2) return;
    this.#operations = this.#operations.slice(this.#start);
    this.#times = this.#times.slice(this.#start);
    this.#offset += this.#start;
    this.#start = 0;
  }
}

function bioOf({ profile }: User): string {
  return profile?.bio ?? "";
}
