import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { isFieldError } from "@bufbuild/protobuf/reflect";
import { UserProfileSchema } from "../../gen/user/v1/user_pb.ts";
import { type CreateUserRequest, CreateUserRequestSchema } from "../../gen/user/v1/user_service_pb.ts";
import { type FileRow, faulty, MAX_ROW_BYTES, rowTooLarge } from "./file-row.ts";

const LINE_FEED = 0x0a;

/**
 * Reads the rows of a file of JSON objects in UTF-8, one on each line, without those that are blank.
 *
 * @throws InvalidInputError naming the line, if a row is too large.
 */
export async function* ndjsonRows(chunks: AsyncIterable<Buffer>): AsyncGenerator<FileRow> {
  let line = 1;
  for await (const bytes of splitLines(chunks)) {
    const text = bytes.toString();
    if (text.trim() !== "") yield { line, length: text.length, toRequest: () => toRequest(text) };
    line++;
  }
}

/** The lines, without what ends them. */
async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let line = 1;
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      if (restBytes + end - start > MAX_ROW_BYTES) throw rowTooLarge(line);
      yield Buffer.concat([...rest, chunk.subarray(start, end)]);
      rest = [];
      restBytes = 0;
      start = end + 1;
      line++;
    }
    rest.push(chunk.subarray(start));
    restBytes += chunk.length - start;
    if (restBytes > MAX_ROW_BYTES) throw rowTooLarge(line);
  }
  if (restBytes > 0) yield Buffer.concat(rest);
}

function toRequest(text: string): CreateUserRequest {
  const request = decode(parseJson(text));
  if (request.requestId !== "") throw faulty("request_id", "REQUEST_ID_NOT_ALLOWED", "must not be set in an upload");
  return request;
}

function parseJson(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    throw notAUser();
  }
}

/** The errors of the decoder tell values: what is told of them is the field alone. */
function decode(json: JsonValue): CreateUserRequest {
  try {
    return fromJson(CreateUserRequestSchema, json);
  } catch (error) {
    const path = pathOfFault(error) ?? fieldOfFault(json);
    if (path === undefined) throw notAUser();
    throw faulty(path, "JSON_INVALID", "must be as the JSON form of protobuf has it");
  }
}

/** The path to the field, where the decoder names it. */
function pathOfFault(error: unknown): string | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  const field = isFieldError(cause) ? cause.field() : undefined;
  if (field?.kind !== "field") return undefined;
  return field.parent.typeName === UserProfileSchema.typeName ? `profile.${field.name}` : field.name;
}

/** The first field that cannot be decoded though it exists. */
function fieldOfFault(json: JsonValue): string | undefined {
  if (typeof json !== "object" || json === null) return undefined;
  for (const [key, value] of Object.entries(json)) {
    const field = CreateUserRequestSchema.fields.find(({ name, jsonName }) => key === name || key === jsonName);
    if (field !== undefined && !canDecode({ [field.name]: value })) return field.name;
  }
  return undefined;
}

function canDecode(json: JsonValue): boolean {
  try {
    fromJson(CreateUserRequestSchema, json);
    return true;
  } catch {
    return false;
  }
}

function notAUser(): Error {
  return faulty("", "ROW_INVALID", "must be a JSON object with fields of CreateUserRequest alone");
}
