import { InvalidInputError, type Violation } from "../domain/errors.ts";
import { BLANK_USER, draftUser, fieldsOf, toProfile, type UserFields } from "../domain/user.ts";
import type { User as UserMessage } from "../gen/user/v1/user_pb.ts";
import { fieldsOfMessage, toRole, toStatus } from "./user-fields.ts";

/** Makes of a user's fields what an update wants them to be. */
export type UserUpdate = (current: UserFields) => UserFields;

/** One path of an update mask. */
interface MaskedPath {
  /** Whether the message says anything at this path. */
  readonly isSet: (message: UserMessage) => boolean;
  /** The fields as the message wants them at this path. */
  readonly apply: (message: UserMessage, current: UserFields) => Partial<UserFields>;
}

/** The paths that can be written, each by itself. */
const LEAVES: Readonly<Record<string, MaskedPath>> = {
  email: { isSet: ({ email }) => email !== "", apply: ({ email }) => ({ email }) },
  name: { isSet: ({ name }) => name !== "", apply: ({ name }) => ({ name }) },
  role: {
    isSet: ({ role }) => toRole(role) !== undefined,
    apply: ({ role }, current) => ({ role: toRole(role) ?? current.role }),
  },
  status: {
    isSet: ({ status }) => toStatus(status) !== undefined,
    apply: ({ status }, current) => ({ status: toStatus(status) ?? current.status }),
  },
  username: { isSet: ({ username }) => username !== "", apply: only("username") },
  age: { isSet: ({ age }) => age !== undefined, apply: only("age") },
  tags: { isSet: ({ tags }) => tags.length > 0, apply: only("tags") },
  metadata: { isSet: ({ metadata }) => Object.keys(metadata).length > 0, apply: only("metadata") },
  phone: contactPath("phone"),
  slack_id: contactPath("slackId"),
  "profile.bio": profilePath("bio"),
  "profile.avatar_url": profilePath("avatarUrl"),
};

/** All paths that a mask may name. */
const PATHS: Readonly<Record<string, MaskedPath>> = {
  ...LEAVES,
  profile: { isSet: ({ profile }) => profile !== undefined, apply: only("profile") },
};

const OUTPUT_ONLY: readonly string[] = ["id", "created_at", "updated_at", "etag"];

/** A user without faults: what is wrong after an update of it, the update has brought. */
const SAMPLE: UserFields = { ...BLANK_USER, email: "sample@example.com", name: "sample" };

/**
 * Reads what an update wants (AIP-134, AIP-161): an empty mask stands for every path at which the message says
 * anything, `*` for the replacement of all fields, where a role or status that is not stated stays.
 *
 * @throws InvalidInputError naming every path that does not exist or is output only, and every value that is wrong.
 */
export function readUpdate(message: UserMessage, mask: readonly string[]): UserUpdate {
  const update = isEverything(mask)
    ? (current: UserFields) => fieldsOfMessage(message, current)
    : changes(message, mask);
  const violations = [
    ...faultsOfId(message),
    ...faultsOfMask(mask),
    ...unstated(message, mask),
    ...faultsOf(update(SAMPLE)),
  ];
  if (violations.length > 0) throw new InvalidInputError(violations);
  return update;
}

function faultsOfId({ id }: UserMessage): Violation[] {
  return id === "" ? [{ field: "user.id", reason: "ID_EMPTY", description: "must name the user" }] : [];
}

function isEverything(mask: readonly string[]): boolean {
  return mask.length === 1 && mask[0] === "*";
}

function changes(message: UserMessage, mask: readonly string[]): UserUpdate {
  const paths =
    mask.length > 0
      ? mask.filter((path) => Object.hasOwn(PATHS, path)).map((path) => PATHS[path])
      : Object.values(LEAVES).filter(({ isSet }) => isSet(message));
  return (current) => {
    let fields = fieldsOf(current);
    for (const path of new Set(paths)) fields = { ...fields, ...path?.apply(message, fields) };
    return fields;
  };
}

function faultsOfMask(mask: readonly string[]): Violation[] {
  if (isEverything(mask)) return [];
  return mask.flatMap((path) => {
    const description = faultOfPath(path);
    return description === undefined ? [] : [{ field: "update_mask", reason: "PATH_INVALID", description }];
  });
}

function faultOfPath(path: string): string | undefined {
  if (Object.hasOwn(PATHS, path)) return undefined;
  if (path === "*") return 'must not name other paths beside "*"';
  if (OUTPUT_ONLY.includes(path)) return `must not name "${path}", which is output only`;
  return "must name fields of User only";
}

/** The values that the mask names and the message does not state, though every user has one. */
function unstated(message: UserMessage, mask: readonly string[]): Violation[] {
  const description = "must be stated if the update mask names it";
  return ["role", "status"]
    .filter((path) => mask.includes(path) && !PATHS[path]?.isSet(message))
    .map((path) => ({ field: `user.${path}`, reason: "VALUE_UNSPECIFIED", description }));
}

function faultsOf(fields: UserFields): readonly Violation[] {
  try {
    draftUser(fields);
    return [];
  } catch (error) {
    if (error instanceof InvalidInputError) return error.in("user").violations;
    throw error;
  }
}

function only(name: "username" | "age" | "tags" | "metadata" | "profile"): MaskedPath["apply"] {
  return (message, current) => ({ [name]: fieldsOfMessage(message, current)[name] });
}

/** A path of the oneof: what is not stated there is taken away if it is there. */
function contactPath(kind: "phone" | "slackId"): MaskedPath {
  return {
    isSet: ({ contact }) => contact.case === kind,
    apply: ({ contact }, current) => {
      if (contact.case === kind) return { contact: { kind, value: contact.value } };
      return current.contact?.kind === kind ? { contact: undefined } : {};
    },
  };
}

function profilePath(name: "bio" | "avatarUrl"): MaskedPath {
  return {
    isSet: ({ profile }) => profile !== undefined && profile[name] !== "",
    apply: ({ profile }, current) => ({ profile: toProfile({ ...current.profile, [name]: profile?.[name] ?? "" }) }),
  };
}
