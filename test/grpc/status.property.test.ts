import { createRegistry, fromBinary, type Message } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import {
  EtagMismatchError,
  InvalidInputError,
  NotInRoomError,
  TakenError,
  UserNotFoundError,
} from "../../src/domain/errors.ts";
import { BadRequestSchema, ErrorInfoSchema, ResourceInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts";
import { IncompleteStreamError } from "../../src/grpc/errors.ts";
import { toStatus } from "../../src/grpc/status.ts";
import { chooseSeed, Random } from "../support/random.ts";

const TYPES = createRegistry(ErrorInfoSchema, BadRequestSchema, ResourceInfoSchema);
/** What many clients receive of headers, less what the other trailers take. */
const MAX_HEADER_BYTES = 8192 - 512;

/** Pieces that texts of callers may be made of, and that somewhere on their way are special. */
const PIECES = [
  "a",
  "%",
  "%zz",
  " ",
  "\n",
  "\r\n",
  "\0",
  "\u007f",
  "\u00e9",
  "\u20ac",
  "\u{1f600}",
  "\ud800",
  "\udc00",
  "\u2028",
  "__proto__",
] as const;

function textOf(random: Random): string {
  const length = random.pick([0, 1, 5, 100, 3000, 20_000]);
  let text = "";
  while (text.length < length) text += random.pick(PIECES).repeat(random.between(1, 20));
  return text;
}

function errorOf(random: Random): Error {
  const text = () => textOf(random);
  switch (random.between(0, 5)) {
    case 0: {
      const count = random.pick([1, 2, 16, 17, 10_001]);
      const [field, reason, description] = [text(), "REASON", text()];
      return new InvalidInputError(Array.from({ length: count }, () => ({ field, reason, description })));
    }
    case 1:
      return new UserNotFoundError(text());
    case 2:
      return new TakenError("email", undefined, text());
    case 3:
      return new EtagMismatchError(text());
    case 4:
      return new NotInRoomError(text());
    default:
      return new IncompleteStreamError(text());
  }
}

describe("the status of an error", () => {
  it("is well-formed and fits into the headers that clients receive, whatever text it tells", () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    for (let index = 0; index < 2000; index++) {
      const { code, details, metadata } = toStatus(errorOf(random));
      const told = `SEED=${seed}, error ${index}`;
      const headers = metadata.toHttp2Headers();
      const [bytes] = metadata.get("grpc-status-details-bin");
      const rich = fromBinary(StatusSchema, bytes as Buffer);
      expect(rich, told).toMatchObject({ code, message: details });
      const [info] = rich.details.map((any) => anyUnpack(any, TYPES) ?? expect.fail(told));
      expect(info, told).toMatchObject({ $typeName: "google.rpc.ErrorInfo", domain: "user.v1" });
      const sent = encodeURI(details);
      expect(sent, told).toMatch(/^[\x20-\x7e]*$/);
      expect(decodeURI(sent), told).toBe(details);
      expect(sent.length + String(headers["grpc-status-details-bin"]).length, told).toBeLessThan(MAX_HEADER_BYTES);
    }
  });

  it("tells as many of the violations as there is room for: at least one", () => {
    const violation = (length: number) => ({
      field: "f".repeat(length),
      reason: "REASON",
      description: "d".repeat(length),
    });
    const tell = (count: number, length: number) => {
      const { details, metadata } = toStatus(
        new InvalidInputError(Array.from({ length: count }, () => violation(length))),
      );
      const { details: anys } = fromBinary(StatusSchema, metadata.get("grpc-status-details-bin")[0] as Buffer);
      const [, badRequest] = anys.map((any) => anyUnpack(any, TYPES));
      return {
        details,
        told:
          badRequest?.$typeName === "google.rpc.BadRequest" &&
          (badRequest as Message & { fieldViolations: unknown[] }).fieldViolations.length,
      };
    };
    expect(tell(10_001, 20)).toMatchObject({ told: 16, details: expect.stringMatching(/; and 9985 more$/) });
    expect(tell(10_001, 100)).toMatchObject({ told: 9 });
    expect(tell(10_001, 100_000)).toMatchObject({ told: 3 });
  });
});
