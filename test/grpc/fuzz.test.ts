import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { createDecoder } from "../../src/grpc/encoding.ts";
import { failureOf } from "../support/errors.ts";
import { FULL } from "../support/full.ts";
import { samplesAbout } from "../support/fuzz/corpus.ts";
import { fuzz } from "../support/fuzz/fuzz.ts";
import { mutate } from "../support/fuzz/mutate.ts";
import { chooseSeed, Random } from "../support/random.ts";
import { ADMIN, startTestServer, streamOf, tokenFor, userClient } from "../support/server.ts";

const MUTATED = FULL ? 30_000 : 400;
const CALLS = FULL ? 10_000 : 150;

function attempt(decode: () => unknown): unknown {
  try {
    return decode();
  } catch {
    return "not decoded";
  }
}

describe("damaged requests", () => {
  it("are decoded as the general decoder does, or not at all", () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    const samples = samplesAbout("somebody").map((sample) => ({
      ...sample,
      decode: createDecoder(sample.method.input, Number.POSITIVE_INFINITY),
    }));
    for (let index = 0; index < MUTATED; index++) {
      const { method, messages, decode } = random.pick(samples as [(typeof samples)[0]]);
      const bytes = mutate(random.pick(messages as [Uint8Array]), random);
      if (bytes.length > 65_536) continue;
      const expected = attempt(() => fromBinary(method.input, bytes, { readUnknownFields: false }));
      expect(
        attempt(() => decode(bytes)),
        `SEED=${seed}, message ${index}`,
      ).toEqual(expected);
    }
  });

  it("are refused with the right code and with details, and are nobody's fault", async () => {
    const server = await startTestServer();
    const { userIds } = await userClient(server).createUsers(
      streamOf({ email: "somebody@example.com", name: "Somebody" }),
    );
    const { port, logs } = server;
    const seed = chooseSeed();
    const { faults } = await fuzz({ port, token: await tokenFor(ADMIN), userId: userIds[0] ?? "", seed, cases: CALLS });
    expect(faults).toEqual([]);
    expect(
      logs.lines.filter(({ msg }) => msg === "call failed"),
      `SEED=${seed}`,
    ).toEqual([]);
  });

  it("cannot change what all objects inherit", () => {
    for (const name in {}) expect.fail(`every object has "${name}"`);
  });
});

describe("names that every object has by birth", () => {
  const BORN = { constructor: "a", toString: "b", hasOwnProperty: "c", valueOf: "d" };

  it("are keys like others in metadata; __proto__ is none", async () => {
    const client = userClient(await startTestServer());
    const ada = { email: "ada@example.com", name: "Ada" };
    const { user } = await client.createUser({ ...ada, metadata: BORN });
    expect((await client.getUser({ id: user?.id ?? "" })).user?.metadata).toEqual(BORN);
    const metadata = JSON.parse('{"__proto__":"x"}') as Record<string, string>;
    const refused = { code: "InvalidArgument", violations: ['metadata["__proto__"]: STRING_PATTERN'] };
    expect(await failureOf(client.createUser({ ...ada, metadata }))).toMatchObject(refused);
  });

  it.each(["__proto__", "constructor", "toString", "metadata.__proto__", "profile.constructor"])(
    "are no paths of a mask: %s",
    async (path) => {
      const client = userClient(await startTestServer());
      const { user } = await client.createUser({ email: "ada@example.com", name: "Ada" });
      const update = client.updateUser({ user: { id: user?.id ?? "" }, updateMask: { paths: [path] } });
      expect(await failureOf(update)).toMatchObject({ violations: ["update_mask: PATH_INVALID"] });
    },
  );
});
