import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { GetUserRequestSchema } from "../../src/gen/user/v1/user_service_pb.ts";
import {
  callFields,
  data,
  type ErrorCode,
  FLAG,
  frameOf,
  headers,
  literalBlock,
  resetStream,
  TYPE,
  windowUpdate,
} from "../support/http2-frames.ts";
import { frame } from "../support/raw-http2.ts";
import { expectGrowthBelow, inFull, measureDamage, sized } from "./damage.ts";
import { type Aftermath, flood, summarize } from "./flood.ts";
import { report } from "./report.ts";
import { warmTarget } from "./target.ts";

const CONNECTIONS = 20;
const SECONDS = sized(0.3, 10);
const PATIENCE_MS = 5000;
/** What nghttp2 and we say to those who ask too much, and what ends a session that is destroyed. */
const ANY_TIME: readonly ErrorCode[] = ["INTERNAL_ERROR", "ENHANCE_YOUR_CALM", "NO_ERROR"];
const GET_USER = "/user.v1.UserService/GetUser";

describe("streams that are opened to be reset", () => {
  const target = warmTarget();

  /** CVE-2023-44487: the client resets each stream at once. */
  it.each<[what: string, path: string, authorized: boolean]>([
    ["with a token", GET_USER, true],
    ...inFull<[string, string, boolean]>(["without a token", GET_USER, false], ["of no method", "/nowhere", false]),
  ])("are cut off: rapid reset of calls %s", async (what, path, authorized) => {
    const block = literalBlock(callFields(path, authorized ? target().token : undefined));
    await attack(`rapid reset, calls ${what}`, ANY_TIME, (id) => [headers(id, block), resetStream(id)]);
  });

  /** CVE-2025-8671: the client makes the server reset each stream, by what it must not do there. */
  it.each<[what: string, expected: ErrorCode[], forbidden: (id: number) => Buffer]>([
    ["WINDOW_UPDATE of 0", ["PROTOCOL_ERROR"], (id) => windowUpdate(id, 0)],
    ["DATA after END_STREAM", ["STREAM_CLOSED"], (id) => data(id, Buffer.alloc(1))],
    ...inFull<[string, ErrorCode[], (id: number) => Buffer]>(
      ["WINDOW_UPDATE beyond 2^31", ["FLOW_CONTROL_ERROR"], (id) => windowUpdate(id, 2 ** 31 - 1)],
      ["HEADERS after END_STREAM", ["STREAM_CLOSED"], (id) => headers(id, literalBlock([["a", "b"]]))],
      ["PRIORITY of the wrong length", ["FRAME_SIZE_ERROR"], (id) => frameOf(TYPE.PRIORITY, 0, id, Buffer.alloc(4))],
    ),
  ])("are cut off: MadeYouReset by %s", async (what, expected, forbidden) => {
    const block = literalBlock(callFields(GET_USER, target().token));
    const body = frame(toBinary(GetUserRequestSchema, create(GetUserRequestSchema, { id: target().userId })));
    const codes: ErrorCode[] = [...expected, ...ANY_TIME];
    await attack(`MadeYouReset: ${what}`, codes, (id) => [
      headers(id, block),
      data(id, body, FLAG.END_STREAM),
      forbidden(id),
    ]);
  });

  async function attack(name: string, codes: readonly ErrorCode[], framesOf: (id: number) => Buffer[]): Promise<void> {
    let aftermath: Aftermath = { connections: [], rounds: 0 };
    const damage = await measureDamage(target(), async () => {
      aftermath = await flood(target().port, {
        connections: CONNECTIONS,
        seconds: SECONDS,
        round: (index) => Buffer.concat(framesOf(2 * index + 1)),
        patienceMs: PATIENCE_MS,
      });
    });
    const { connections, rounds } = aftermath;
    report(name, `${connections.length} connections, ${rounds} streams`, summarize(connections), damage);
    expect(connections.filter(({ isOpen }) => isOpen)).toHaveLength(0);
    const unexpected = connections.flatMap(({ goaways }) => goaways).filter((code) => !codes.includes(code));
    expect(unexpected).toEqual([]);
    expectGrowthBelow(64, damage, target());
  }
});
