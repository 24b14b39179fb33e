import { create } from "@bufbuild/protobuf";
import { type UserProfile, UserProfileSchema, UserRole, UserStatus } from "../../gen/user/v1/user_pb.ts";
import type { CreateUserRequest } from "../../gen/user/v1/user_service_pb.ts";
import { faulty, unreadable } from "./file-row.ts";
import { isMetadataKey } from "./metadata-key.ts";

/** Puts a text of one column, which is not empty, into a request. */
export type CsvColumn = (request: CreateUserRequest, text: string) => void;

/** As a map, because an object would have columns that nobody put there. */
const COLUMNS: ReadonlyMap<string, CsvColumn> = new Map(
  Object.entries<CsvColumn>({
    email(request, text) {
      request.email = text;
    },
    name(request, text) {
      request.name = text;
    },
    username(request, text) {
      request.username = text;
    },
    age(request, text) {
      request.age = toAge(text);
    },
    role(request, text) {
      request.role = toEnum(UserRole, "role", "USER_ROLE_", text);
    },
    status(request, text) {
      request.status = toEnum(UserStatus, "status", "USER_STATUS_", text);
    },
    tags(request, text) {
      request.tags = text.split(";");
    },
    phone(request, value) {
      setContact(request, { case: "phone", value });
    },
    slack_id(request, value) {
      setContact(request, { case: "slackId", value });
    },
    bio(request, text) {
      profileOf(request).bio = text;
    },
    avatar_url(request, text) {
      profileOf(request).avatarUrl = text;
    },
  }),
);

const REQUIRED = ["email", "name"];
const METADATA = "metadata.";

/**
 * Reads the names of the columns, which the first row of a file holds.
 *
 * @throws InvalidInputError naming the column, if a name is unknown or occurs twice, or if one is missing that is
 *   required.
 */
export function readHeader(names: readonly string[]): CsvColumn[] {
  const seen = new Set<string>();
  const columns = names.map((name, index) => {
    const place = `column ${index + 1}`;
    const column = columnOf(name);
    if (column === undefined) throw wrongHeader("COLUMN_UNKNOWN", `must name known columns only, as ${place} is not`);
    if (seen.has(name))
      throw wrongHeader("COLUMN_REPEATED", `must name each column once, but ${place} is named before`);
    seen.add(name);
    return column;
  });
  const missing = REQUIRED.find((name) => !seen.has(name));
  if (missing !== undefined) throw wrongHeader("COLUMN_MISSING", `must name the column ${missing}`);
  return columns;
}

function columnOf(name: string): CsvColumn | undefined {
  if (!name.startsWith(METADATA)) return COLUMNS.get(name);
  const key = name.slice(METADATA.length);
  if (!isMetadataKey(key)) return undefined;
  return (request, text) => {
    request.metadata[key] = text;
  };
}

function wrongHeader(reason: string, description: string): Error {
  return unreadable(reason, `${description}: line 1`);
}

function toAge(text: string): number {
  if (!/^-?\d{1,9}$/.test(text)) throw faulty("age", "NUMBER_INVALID", "must be a whole number");
  return Number(text);
}

/** The value with a name, such as `USER_ROLE_ADMIN`, or what is behind the prefix, in any case. */
function toEnum<E extends number>(
  type: Readonly<Record<string, E | string>>,
  field: string,
  prefix: string,
  text: string,
): E {
  const name = text.toUpperCase();
  const short = name.startsWith(prefix) ? name.slice(prefix.length) : name;
  const value = Object.hasOwn(type, short) ? type[short] : undefined;
  if (typeof value === "number") return value;
  throw faulty(field, "ENUM_DEFINED_ONLY", `must be one of the names of the ${field}s in the contract`);
}

function setContact(request: CreateUserRequest, contact: CreateUserRequest["contact"]): void {
  if (request.contact.case !== undefined) {
    throw faulty("slack_id", "CONTACT_REPEATED", "must be empty where phone is not");
  }
  request.contact = contact;
}

function profileOf(request: CreateUserRequest): UserProfile {
  request.profile ??= create(UserProfileSchema);
  return request.profile;
}
