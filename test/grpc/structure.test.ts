import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { UploadUserDataRequestSchema } from "../../src/gen/user/v1/upload_pb.ts";
import { BatchGetUsersRequestSchema } from "../../src/gen/user/v1/user_service_pb.ts";
import { createDecoder } from "../../src/grpc/encoding.ts";
import { RequestTooLargeError } from "../../src/grpc/errors.ts";
import { exceedsStructure } from "../../src/grpc/structure.ts";

const MAX = 65_536;

function chunkOf(bytes: number): Uint8Array {
  const part = { case: "chunk", value: { data: new Uint8Array(bytes) } } as const;
  return toBinary(UploadUserDataRequestSchema, create(UploadUserDataRequestSchema, { part }));
}

describe("exceedsStructure", () => {
  it("counts tags, lengths and numbers, also of nested messages, but no texts and bytes", () => {
    const chunk = chunkOf(1_048_576);
    // Of each of the two a tag and a length of three or four bytes.
    const structure = chunk.length - 1_048_576;
    expect(exceedsStructure(UploadUserDataRequestSchema, chunk, structure)).toBe(false);
    expect(exceedsStructure(UploadUserDataRequestSchema, chunk, structure - 1)).toBe(true);
    const ids = toBinary(BatchGetUsersRequestSchema, create(BatchGetUsersRequestSchema, { ids: ["", "a", "bc"] }));
    expect(exceedsStructure(BatchGetUsersRequestSchema, ids, 6)).toBe(false);
    expect(exceedsStructure(BatchGetUsersRequestSchema, ids, 5)).toBe(true);
  });
});

describe("the decoder of large requests", () => {
  const decodeUpload = createDecoder(UploadUserDataRequestSchema, 1_114_112);

  it.each([
    ["chunks without data", Buffer.alloc(MAX + 2).fill(Buffer.of(0x12, 0))],
    [
      "data that is empty, in one chunk",
      Buffer.concat([Buffer.of(0x12, 0x82, 0x80, 0x04), Buffer.alloc(MAX + 2).fill(Buffer.of(0x12, 0))]),
    ],
    ["numbers that nobody knows", Buffer.alloc(MAX + 2).fill(Buffer.of(0x78, 0))],
    ["texts that nobody knows", Buffer.alloc(MAX + 2).fill(Buffer.of(0x7a, 0))],
  ])("refuses those that are made of %s", (_, bytes) => {
    expect(decodeUpload(bytes)).toBeInstanceOf(RequestTooLargeError);
  });

  it("decodes the largest chunk, and the most ids that the contract allows", () => {
    expect(decodeUpload(Buffer.from(chunkOf(1_048_576)))).toMatchObject({ part: { case: "chunk" } });
    const ids = Array.from({ length: 1000 }, () => "x".repeat(128));
    const request = create(BatchGetUsersRequestSchema, { ids });
    const bytes = Buffer.from(toBinary(BatchGetUsersRequestSchema, request));
    expect(createDecoder(BatchGetUsersRequestSchema, 131_072)(bytes)).toEqual(request);
  });
});
