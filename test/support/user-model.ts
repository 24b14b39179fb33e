import type { Principal } from "../../src/domain/principal.ts";
import { UserRole, UserStatus } from "../../src/gen/user/v1/user_pb.ts";
import type { Failure } from "./errors.ts";

/** What can be said of a user, in the terms of the contract. */
export interface Content {
  readonly email: string;
  readonly name: string;
  readonly username: string;
  readonly age: number | undefined;
  readonly role: UserRole;
  readonly status: UserStatus;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly contact: Contact;
  readonly profile: { readonly bio: string; readonly avatarUrl: string } | undefined;
}

export type Contact =
  | { readonly case: "phone" | "slackId"; readonly value: string }
  | { readonly case: undefined; readonly value?: undefined };

/**
 * A user as the model knows them. What the service chooses has a name here: "user 3" is the id of the third user, and
 * "version 7" both the etag of the seventh state that any user had, and the time at which it began.
 */
export interface ModelUser extends Content {
  readonly id: string;
  readonly etag: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface NewUser extends Content {
  readonly requestId: string;
}

export interface Update {
  /** The user, unless the request holds none. */
  readonly user: (Content & { readonly id: string; readonly etag: string }) | undefined;
  readonly mask: readonly string[];
}

export interface Page {
  readonly users: readonly ModelUser[];
  /** Names the token of the next page; empty at the end. */
  readonly next: string;
}

/** Who calls; undefined for nobody who is known. */
export type Caller = Principal | undefined;

/** Every reason for which the model refuses a call: those of ErrorInfo, and those of the violations. */
export const REASONS = [
  "TOKEN_INVALID",
  "CALLER_NOT_ALLOWED",
  "CALLER_SUSPENDED",
  "USER_NOT_FOUND",
  "EMAIL_TAKEN",
  "USERNAME_TAKEN",
  "ETAG_MISMATCH",
  "STREAM_INCOMPLETE",
  "TOO_MANY_USERS",
  "INVALID_REQUEST",
  "EMAIL_INVALID",
  "NAME_BLANK",
  "NAME_CONTROL_CHARACTER",
  "PAGE_TOKEN_INVALID",
  "PATH_INVALID",
  "REQUEST_ID_REUSED",
  "STREAM_EMPTY",
  "VALUE_UNSPECIFIED",
  "ID_EMPTY",
  "REQUIRED",
  "INT32_GTE",
  "INT32_GTE_LTE",
  "REPEATED_UNIQUE",
  "STRING_MAX_BYTES",
  "STRING_MIN_BYTES",
  "STRING_PATTERN",
  "STRING_UUID",
] as const;

export type Reason = (typeof REASONS)[number];

/** What happens without a refusal, and is easily missed. */
export const EVENTS = [
  "a request is repeated",
  "a request occurs twice in one call",
  "two callers give the same request id",
  "an update changes nothing",
  "a page goes on after a user who is gone",
] as const;

/** What a refused call tells, apart from the words. */
export type Told = Omit<Failure, "message">;

/** The model refuses a call. */
export class Refusal extends Error {
  readonly told: Told;

  constructor(code: string, reason: Reason, more: Partial<Told> = {}) {
    super(reason);
    this.told = { code, reason, domain: "user.v1", facts: {}, violations: [], resource: undefined, ...more };
  }
}

/** The most that one CreateUsers call may create in this model. */
export const MAX_USERS_PER_CALL = 6;

const OUTPUT_ONLY_OR_UNKNOWN = /^(id|created_at|updated_at|etag|.*nickname|metadata\..*|contact|slackId|)$/;

/** What the model knows of a request that created a user. */
interface KnownRequest {
  readonly caller: string;
  readonly id: string;
  readonly content: string;
  readonly userId: string;
}

/**
 * The user service as its contract tells it, made in the simplest way there is: one list, loops over it, and a copy to go
 * back to. Nothing of it comes from the service. Which spellings of e-mail addresses and usernames are the same one is not
 * computed, but told by tables.
 */
export class UserModel {
  /** In the order of creation. */
  users: ModelUser[] = [];
  /** How many users there have been. */
  created = 0;
  /** How many states of users there have been. */
  versions = 0;
  /** What has happened so far. */
  readonly events = new Set<(typeof EVENTS)[number]>();
  #requests: KnownRequest[] = [];
  readonly #keyOf: (spelling: string) => string;

  /** `keyOf` tells what is the same for all spellings of one address or username. */
  constructor(keyOf: (spelling: string) => string) {
    this.#keyOf = keyOf;
  }

  getUser(caller: Caller, id: string): ModelUser {
    this.#known(caller);
    if (id === "") throw invalid("id: STRING_MIN_BYTES");
    return this.#find(id);
  }

  batchGetUsers(caller: Caller, ids: readonly string[]): { users: ModelUser[]; missingIds: string[] } {
    this.#known(caller);
    const empty = ids.flatMap((id, index) => (id === "" ? [`ids[${index}]: STRING_MIN_BYTES`] : []));
    if (empty.length > 0) throw invalid(...empty);
    const users: ModelUser[] = [];
    const missingIds: string[] = [];
    for (const id of ids) {
      const user = this.users.find((one) => one.id === id);
      if (user === undefined) missingIds.push(id);
      else users.push(user);
    }
    return { users, missingIds };
  }

  /** `token` is the name of a token, or what was never one. */
  listUsers(caller: Caller, size: number, token: string): Page {
    this.#oneOf(caller, "admin", "service");
    if (size < 0) throw invalid("page_size: INT32_GTE");
    const rest = this.#after(token);
    const users = rest.slice(0, size === 0 ? 10 : size);
    return { users, next: users.length < rest.length ? `after ${users.at(-1)?.id}` : "" };
  }

  streamAll(caller: Caller, token: string): ModelUser[] {
    this.#oneOf(caller, "admin", "service");
    return this.#after(token);
  }

  createUser(caller: Caller, user: NewUser): ModelUser {
    const { id, role } = this.#oneOf(caller, "admin", "service");
    this.#check([user], role, () => "");
    return this.#create(id, user, "");
  }

  createUsers(caller: Caller, users: readonly NewUser[], expectedCount: number | undefined): string[] {
    const { id, role } = this.#oneOf(caller, "admin", "service");
    const prefix = (index: number) => `messages[${index}].`;
    this.#check(users.slice(0, MAX_USERS_PER_CALL), role, prefix);
    if (users.length > MAX_USERS_PER_CALL) {
      throw new Refusal("ResourceExhausted", "TOO_MANY_USERS", { facts: { limit: String(MAX_USERS_PER_CALL) } });
    }
    if (expectedCount !== undefined && expectedCount !== users.length) {
      throw new Refusal("DataLoss", "STREAM_INCOMPLETE");
    }
    if (users.length === 0) throw invalid("messages: STREAM_EMPTY");

    const [before, requests] = [[...this.users], [...this.#requests]];
    const { created, versions } = this;
    try {
      const ids = users.map((user, index) => this.#create(id, user, prefix(index)).id);
      if (new Set(ids).size < ids.length) this.events.add("a request occurs twice in one call");
      return ids;
    } catch (error) {
      Object.assign(this, { users: before, created, versions });
      this.#requests = requests;
      throw error;
    }
  }

  updateUser(caller: Caller, { user: wanted, mask }: Update): ModelUser {
    const { role } = this.#selfOrAdmin(caller, wanted?.id ?? "");
    if (wanted === undefined) throw invalid("user: REQUIRED");
    refuseIfAny(faultsOfShape(wanted).map((fault) => `user.${fault}`));
    if (wanted.id === "") throw invalid("user.id: ID_EMPTY");
    const bad = mask.filter((path) => OUTPUT_ONLY_OR_UNKNOWN.test(path) || (path === "*" && mask.length > 1));
    refuseIfAny(bad.map(() => "update_mask: PATH_INVALID"));

    const current = this.#find(wanted.id);
    this.#matchEtag(current, wanted.etag);
    const next = masked(current, wanted, mask);
    if (textOf(current) === textOf(next)) {
      this.events.add("an update changes nothing");
      return current;
    }
    if (role !== "admin" && (next.role !== current.role || next.status !== current.status)) throw notAllowed();
    refuseIfAny(faultsOfMeaning(next).map((fault) => `user.${fault}`));
    this.#refuseTaken(next, "user.", current.id);

    const { id, createdAt } = current;
    const version = this.#newVersion();
    const changed = { ...next, id, createdAt, updatedAt: version, etag: version };
    this.users = this.users.map((user) => (user === current ? changed : user));
    return changed;
  }

  deleteUser(caller: Caller, id: string, etag: string): boolean {
    this.#selfOrAdmin(caller, id);
    if (id === "") throw invalid("id: STRING_MIN_BYTES");
    const current = this.#find(id);
    this.#matchEtag(current, etag);
    this.users = this.users.filter((user) => user !== current);
    return true;
  }

  #known(caller: Caller): Principal {
    if (caller === undefined) throw new Refusal("Unauthenticated", "TOKEN_INVALID");
    const suspended = this.users.some(({ id, status }) => id === caller.id && status === UserStatus.SUSPENDED);
    if (suspended) throw new Refusal("PermissionDenied", "CALLER_SUSPENDED");
    return caller;
  }

  #oneOf(caller: Caller, ...roles: readonly Principal["role"][]): Principal {
    const known = this.#known(caller);
    if (!roles.includes(known.role)) throw notAllowed();
    return known;
  }

  #selfOrAdmin(caller: Caller, id: string): Principal {
    const known = this.#known(caller);
    if (known.role !== "admin" && known.id !== id) throw notAllowed();
    return known;
  }

  #find(id: string): ModelUser {
    const found = this.users.find((user) => user.id === id);
    if (found === undefined) throw notFound(id);
    return found;
  }

  #after(token: string): ModelUser[] {
    if (token === "") return this.users;
    const [, number] = /^after user (\d+)$/.exec(token) ?? [];
    if (number === undefined) throw invalid("page_token: PAGE_TOKEN_INVALID");
    if (!this.users.some(({ id }) => id === `user ${number}`))
      this.events.add("a page goes on after a user who is gone");
    return this.users.filter(({ id }) => Number(id.slice("user ".length)) > Number(number));
  }

  #matchEtag(user: ModelUser, etag: string): void {
    if (etag === "" || etag === user.etag) return;
    throw new Refusal("Aborted", "ETAG_MISMATCH", { resource: `user.v1.User/${user.id}` });
  }

  /** Refuses the first message that is wrong in itself. */
  #check(users: readonly NewUser[], role: Principal["role"], prefix: (index: number) => string): void {
    for (const [index, user] of users.entries()) {
      const shape = faultsOfShape(user);
      if (user.email === "") shape.push("email: STRING_MIN_BYTES");
      if (user.name === "") shape.push("name: STRING_MIN_BYTES");
      if (!/^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?$/i.test(user.requestId)) {
        shape.push("request_id: STRING_UUID");
      }
      refuseIfAny(shape.map((fault) => prefix(index) + fault));
      refuseIfAny(faultsOfMeaning(user).map((fault) => prefix(index) + fault));
      const plain = user.role !== UserRole.ADMIN && user.status !== UserStatus.SUSPENDED;
      if (role !== "admin" && !plain) throw notAllowed();
    }
  }

  #create(caller: string, { requestId, ...content }: NewUser, prefix: string): ModelUser {
    const user = {
      ...content,
      role: content.role || UserRole.USER,
      status: content.status || UserStatus.ACTIVE,
      profile: profileOf(content.profile),
    };
    const request = { caller, id: requestId.toLowerCase(), content: textOf(user) };
    const known = this.#requests.find((one) => one.caller === caller && one.id === request.id);
    if (requestId !== "" && known !== undefined) {
      if (known.content !== request.content) throw invalid(`${prefix}request_id: REQUEST_ID_REUSED`);
      const user = this.#find(known.userId);
      this.events.add("a request is repeated");
      return user;
    }

    this.#refuseTaken(user, prefix);
    this.created++;
    const version = this.#newVersion();
    const created = { ...user, id: `user ${this.created}`, etag: version, createdAt: version, updatedAt: version };
    this.users.push(created);
    if (requestId !== "" && this.#requests.some((one) => one.id === request.id)) {
      this.events.add("two callers give the same request id");
    }
    if (requestId !== "") this.#requests.push({ ...request, userId: created.id });
    return created;
  }

  #refuseTaken({ email, username }: Content, prefix: string, exceptId = ""): void {
    const others = this.users.filter(({ id }) => id !== exceptId);
    for (const [field, reason, value] of [
      ["email", "EMAIL_TAKEN", email],
      ["username", "USERNAME_TAKEN", username],
    ] as const) {
      if (value === "" || !others.some((other) => this.#keyOf(other[field]) === this.#keyOf(value))) continue;
      throw new Refusal("AlreadyExists", reason, { facts: { field: prefix + field }, resource: "user.v1.User/" });
    }
  }

  #newVersion(): string {
    this.versions++;
    return `version ${this.versions}`;
  }
}

function invalid(...violations: readonly string[]): Refusal {
  return new Refusal("InvalidArgument", "INVALID_REQUEST", { violations });
}

function refuseIfAny(violations: readonly string[]): void {
  if (violations.length > 0) throw invalid(...violations);
}

function notAllowed(): Refusal {
  return new Refusal("PermissionDenied", "CALLER_NOT_ALLOWED");
}

function notFound(id: string): Refusal {
  return new Refusal("NotFound", "USER_NOT_FOUND", { resource: `user.v1.User/${id}` });
}

/** What is wrong whoever says it and wherever: lengths, ranges and forms. */
function faultsOfShape({ name, username, age, tags, contact }: Content): string[] {
  const faults: string[] = [];
  if (Buffer.byteLength(name) > 512) faults.push("name: STRING_MAX_BYTES");
  if (username !== "" && !/^[a-z0-9][a-z0-9_.-]*$/i.test(username)) faults.push("username: STRING_PATTERN");
  if (age !== undefined && (age < 0 || age > 150)) faults.push("age: INT32_GTE_LTE");
  if (new Set(tags).size < tags.length) faults.push("tags: REPEATED_UNIQUE");
  if (contact.case === "phone" && !contact.value.startsWith("+")) faults.push("phone: STRING_PATTERN");
  if (contact.case === "slackId" && !/^[UW]/.test(contact.value)) faults.push("slack_id: STRING_PATTERN");
  return faults;
}

/** What is wrong with a user as a whole. */
function faultsOfMeaning({ email, name }: Content): string[] {
  const faults: string[] = [];
  if (!email.includes("@")) faults.push("email: EMAIL_INVALID");
  if (name.trim() === "") faults.push("name: NAME_BLANK");
  else if (name.includes("\n")) faults.push("name: NAME_CONTROL_CHARACTER");
  return faults;
}

/** The content that an update makes of a user. */
function masked(current: Content, wanted: Content, mask: readonly string[]): Content {
  if (mask[0] === "*") {
    const { role, status, profile } = wanted;
    const kept = { role: role || current.role, status: status || current.status };
    return { ...contentOf(wanted), ...kept, profile: profileOf(profile) };
  }
  const paths = mask.length > 0 ? mask : pathsSetIn(wanted);
  const unstated = (["role", "status"] as const).filter((path) => paths.includes(path) && wanted[path] === 0);
  refuseIfAny(unstated.map((path) => `user.${path}: VALUE_UNSPECIFIED`));

  let { contact, profile, ...plain } = contentOf(current);
  for (const path of paths) {
    if (path === "phone" || path === "slack_id") {
      const kind = path === "phone" ? "phone" : "slackId";
      if (wanted.contact.case === kind) contact = wanted.contact;
      else if (contact.case === kind) contact = { case: undefined };
    } else if (path === "profile") profile = wanted.profile;
    else if (path === "profile.bio") profile = { avatarUrl: "", ...profile, bio: wanted.profile?.bio ?? "" };
    else if (path === "profile.avatar_url")
      profile = { bio: "", ...profile, avatarUrl: wanted.profile?.avatarUrl ?? "" };
    else plain = { ...plain, [path]: contentOf(wanted)[path as keyof typeof plain] };
  }
  return { ...plain, contact, profile: profileOf(profile) };
}

/** The paths that stand for an empty mask. */
function pathsSetIn({ email, name, username, age, role, status, tags, metadata, contact, profile }: Content): string[] {
  const paths: string[] = [];
  if (email !== "") paths.push("email");
  if (name !== "") paths.push("name");
  if (username !== "") paths.push("username");
  if (age !== undefined) paths.push("age");
  if (role !== UserRole.UNSPECIFIED) paths.push("role");
  if (status !== UserStatus.UNSPECIFIED) paths.push("status");
  if (tags.length > 0) paths.push("tags");
  if (Object.keys(metadata).length > 0) paths.push("metadata");
  if (contact.case === "phone") paths.push("phone");
  if (contact.case === "slackId") paths.push("slack_id");
  if (profile !== undefined && profile.bio !== "") paths.push("profile.bio");
  if (profile !== undefined && profile.avatarUrl !== "") paths.push("profile.avatar_url");
  return paths;
}

function profileOf(profile: Content["profile"]): Content["profile"] {
  return profile?.bio || profile?.avatarUrl ? profile : undefined;
}

function contentOf(user: Content): Content {
  const { email, name, username, age, role, status, tags, metadata, contact, profile } = user;
  return { email, name, username, age, role, status, tags, metadata, contact, profile };
}

/** A text that is the same for the same content. */
function textOf(user: Content): string {
  const { email, name, username, age = null, role, status, tags, metadata, contact, profile } = user;
  const pairs = Object.keys(metadata)
    .toSorted((one, other) => one.localeCompare(other))
    .map((key) => [key, metadata[key]]);
  const rest = [contact.case ?? null, contact.value ?? null, profile?.bio ?? null, profile?.avatarUrl ?? null];
  return JSON.stringify([email, name, username, age, role, status, tags, pairs, rest]);
}
