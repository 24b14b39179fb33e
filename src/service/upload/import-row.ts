import { createValidator } from "@bufbuild/protovalidate";
import { describeViolation } from "../../contract/rule-violation.ts";
import { InvalidInputError, PermissionDeniedError } from "../../domain/errors.ts";
import type { Principal } from "../../domain/principal.ts";
import {
  BLANK_USER,
  draftUser,
  toMetadata,
  toProfile,
  type User,
  type UserDraft,
  type UserFields,
} from "../../domain/user.ts";
import { type CreateUserRequest, CreateUserRequestSchema } from "../../gen/user/v1/user_service_pb.ts";
import type { ImportRow, RowFault } from "../../repository/imports.ts";
import { permitChange } from "../permission.ts";
import { fieldsOfMessage, fieldsOfNewUser } from "../user-fields.ts";
import { type FileRow, faulty } from "./file-row.ts";
import { isMetadataKey } from "./metadata-key.ts";

const MAX_METADATA = 50;

/** One fault of a row is told. The rules are compiled for the first row of the process. */
const validator = createValidator({ failFast: true });

/** Makes of a row of a file what a repository imports for a caller. Every row is held to the rules of the contract. */
export function toImportRow({ line, toRequest }: FileRow, caller: Principal): ImportRow {
  const read = orFault(() => {
    const request = toRequest();
    return { request, draft: check(request) };
  });
  if ("reason" in read) return { failure: { line, ...read } };
  const { request, draft } = read;
  const { emailKey, usernameKey } = draft;
  const become = (current: User | undefined) => orFault(() => userOf(request, draft, current, caller));
  return { line, emailKey, usernameKey, become };
}

function check(request: CreateUserRequest): UserDraft {
  const result = validator.validate(CreateUserRequestSchema, request);
  if (result.kind === "error") throw result.error;
  if (result.kind === "invalid") throw new InvalidInputError(result.violations.map(describeViolation));
  return draftUser(fieldsOfNewUser(request));
}

function userOf(request: CreateUserRequest, draft: UserDraft, current: User | undefined, caller: Principal): UserDraft {
  const fields = current === undefined ? draft : mergeFields(current, request);
  permitChange(caller, current ?? BLANK_USER, fields);
  return current === undefined ? draft : draftUser(fields);
}

/** The fields of a user, with those that a row names as it says. */
function mergeFields(user: User, request: CreateUserRequest): UserFields {
  const said = fieldsOfMessage(request, user);
  const metadata = toMetadata(Object.fromEntries([...user.metadata, ...said.metadata]));
  if (metadata.length > MAX_METADATA) {
    throw faulty("metadata", "MAP_MAX_PAIRS", `must be at most ${MAX_METADATA}, with those that the user has`);
  }
  return {
    ...said,
    username: said.username ?? user.username,
    age: said.age ?? user.age,
    tags: said.tags.length === 0 ? user.tags : said.tags,
    metadata,
    contact: said.contact ?? user.contact,
    profile: toProfile({
      bio: said.profile?.bio || (user.profile?.bio ?? ""),
      avatarUrl: said.profile?.avatarUrl || (user.profile?.avatarUrl ?? ""),
    }),
  };
}

/** What comes out, or what is wrong with the row. */
function orFault<T extends object>(read: () => T): T | RowFault {
  try {
    return read();
  } catch (error) {
    if (error instanceof PermissionDeniedError) {
      return { field: "", reason: "CALLER_NOT_ALLOWED", description: "must leave role and status to an admin" };
    }
    const [violation] = error instanceof InvalidInputError ? error.violations : [];
    if (violation === undefined) throw error;
    return { ...violation, field: withoutOddKey(violation.field) };
  }
}

/** A path, without the key of metadata that is none: it could be anything. */
function withoutOddKey(path: string): string {
  const [, field, key] = /^(metadata)\["(.*)"\]$/s.exec(path) ?? [];
  return field === undefined || isMetadataKey(key ?? "") ? path : field;
}
