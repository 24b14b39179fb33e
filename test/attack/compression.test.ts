import { randomBytes } from "node:crypto";
import { constants, deflateSync, gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { GetUserRequestSchema, UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { FuzzCaller } from "../support/fuzz/fuzz-caller.ts";
import type { FuzzCase } from "../support/fuzz/fuzz-case.ts";
import { frame } from "../support/raw-http2.ts";
import { expectGrowthBelow, inFull, measureDamage, sized } from "./damage.ts";
import { report } from "./report.ts";
import { sharedTarget } from "./target.ts";

const CONNECTIONS = 10;
const CALLS = 200;
const MIB = 2 ** 20;
const BOMB_BYTES = 100 * MIB;
const LONGEST_REQUEST = 1_114_112;

/** Calls that never come to an end: as many as have a turn at a time, or twice as many. */
const SLOW = sized(4, 8);

const zeros = Buffer.alloc(BOMB_BYTES);
const bombs = { gzip: gzipSync(zeros), deflate: deflateSync(zeros) };
/** As much as the longest request may be, in as few bytes as DEFLATE can say it. */
const largest = gzipSync(zeros.subarray(0, LONGEST_REQUEST), { level: constants.Z_BEST_COMPRESSION });
/** As large as the longest request, and about as large when compressed. */
const heavy = gzipSync(randomBytes(LONGEST_REQUEST - 1024));

/** What is too large to be decompressed at once, 200 times, may wait for longer than it has. */
const LATE_OR_INTERNAL = ["INTERNAL", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"];

function upload(encoding: string, ...writes: Buffer[]): FuzzCase {
  return { method: UserService.method.uploadUserData, headers: { "grpc-encoding": encoding }, writes };
}

function get(encoding: string, ...writes: Buffer[]): FuzzCase {
  return { method: UserService.method.getUser, headers: { "grpc-encoding": encoding }, writes };
}

describe("compressed requests", () => {
  const target = sharedTarget();

  it.each<[what: string, made: FuzzCase, codes: readonly string[], calls?: number]>([
    ["100 MiB in gzip", get("gzip", frame(bombs.gzip, 1)), ["RESOURCE_EXHAUSTED"]],
    ...inFull<[string, FuzzCase, readonly string[]]>(
      ["100 MiB in deflate", get("deflate", frame(bombs.deflate, 1)), ["RESOURCE_EXHAUSTED"]],
      ["100 MiB in gzip, in a stream", upload("gzip", frame(bombs.gzip, 1)), ["RESOURCE_EXHAUSTED"]],
    ),
    // Twelve in one DATA frame, which grpc-js decompresses together.
    [
      "12 messages of 1 MiB at once",
      upload("gzip", Buffer.concat(Array(12).fill(frame(largest, 1)))),
      LATE_OR_INTERNAL,
      sized(20, CALLS),
    ],
    // Which takes the longer to arrive, the busier the machine is.
    ["1 MiB that cannot be compressed", upload("gzip", frame(heavy, 1)), LATE_OR_INTERNAL],
    ["a length of 4 GiB, not compressed", get("identity", Buffer.of(0, 255, 255, 255, 255)), ["RESOURCE_EXHAUSTED"]],
    ["a length of 4 GiB, compressed", get("gzip", Buffer.of(1, 255, 255, 255, 255)), ["RESOURCE_EXHAUSTED"]],
    ["a cut end", get("gzip", frame(bombs.gzip.subarray(0, 500), 1)), ["INTERNAL"]],
    ["noise", get("deflate", frame(randomBytes(10_000), 1)), ["INTERNAL"]],
    ["nothing", get("gzip", frame(Buffer.alloc(0), 1)), ["INTERNAL"]],
    ["an encoding that nobody knows", get("br", frame(bombs.gzip, 1)), ["UNIMPLEMENTED"]],
    [
      "a compressed message where none was announced",
      get("identity", frame(bombs.gzip, 1)),
      ["RESOURCE_EXHAUSTED", "INTERNAL"],
    ],
    ["a flag that does not exist", get("identity", frame(Buffer.of(0x0a, 1, 0x61), 2)), ["INTERNAL"]],
    ["another flag that does not exist", get("gzip", frame(Buffer.of(0x0a, 1, 0x61), 255)), ["INTERNAL"]],
  ])(
    "are refused with the right code, and take a bounded memory: many at once of %s",
    async (what, made, codes, calls = CALLS) => {
      const outcomes: string[] = [];
      const { port, token } = target();
      const damage = await measureDamage(target(), async () => {
        const callers = Array.from({ length: CONNECTIONS }, () => new FuzzCaller(port, token));
        const pending = callers.flatMap((caller) =>
          Array.from({ length: calls / CONNECTIONS }, () => caller.call(made)),
        );
        outcomes.push(...(await Promise.all(pending)).map(({ code }) => code));
        for (const caller of callers) caller.close();
      });
      report(`compression: ${what}`, `${calls} calls at once`, [...new Set(outcomes)].join(), damage);
      expect(outcomes).toHaveLength(calls);
      expect(outcomes.filter((code) => !codes.includes(code))).toEqual([]);
      expectGrowthBelow(256, damage, target());
    },
  );

  it("are served in their turn while others never come to the end of theirs, who fail", async () => {
    const { port, token, userId } = target();
    const request = toBinary(GetUserRequestSchema, create(GetUserRequestSchema, { id: userId }));
    const slow = new FuzzCaller(port, token);
    const honest = new FuzzCaller(port, token);
    for (let count = 0; count < SLOW; count++) slow.leaveOpen(get("gzip", frame(bombs.gzip, 1).subarray(0, 100)));
    // By the time that these are answered, the others have their turns.
    for (let count = 0; count < 3; count++) await honest.call(get("identity", frame(request)));
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, () => honest.call(get("gzip", frame(gzipSync(request), 1)))),
    );
    expect(outcomes.map(({ code }) => code)).toEqual(Array(50).fill("OK"));
    expect(
      target()
        .logs()
        .filter(({ code }) => code === "RESOURCE_EXHAUSTED").length,
    ).toBeGreaterThanOrEqual(4);
    slow.close();
    honest.close();
    target().check();
  });
});
