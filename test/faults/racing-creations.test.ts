import { describe, expect, it } from "vitest";
import { failureOf } from "../support/errors.ts";
import { FULL } from "../support/full.ts";
import { chooseSeed, Random } from "../support/random.ts";
import { ADMIN, collect, startTestServer, streamOf, userClient } from "../support/server.ts";

const CREATIONS = 200;
const CLIENTS = 8;
const ROUNDS = FULL ? 100 : 1;

describe("concurrent creations of one e-mail address, in many spellings", () => {
  it("create one user, and the others fail with ALREADY_EXISTS", async () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    const server = await startTestServer();
    // Each has a connection of its own.
    const clients = Array.from({ length: CLIENTS }, () => userClient(server, ADMIN));

    for (let round = 0; round < ROUNDS; round++) {
      const calls = Array.from({ length: CREATIONS }, (_, index) => {
        const email = respell(`zoë.round${round}@bücher.example.com`, random);
        const client = clients[index % CLIENTS] ?? expect.fail("there is no client");
        return client.createUsers(streamOf({ email, name: "Zoë" }));
      });
      const settled = await Promise.allSettled(calls);
      const created = settled.filter(({ status }) => status === "fulfilled");
      expect(created, `SEED=${seed}, round ${round}`).toHaveLength(1);
      const refused = calls.filter((_, index) => settled[index]?.status === "rejected");
      for (const failure of await Promise.all(refused.map(failureOf))) {
        expect(failure, `SEED=${seed}, round ${round}`).toMatchObject({ code: "AlreadyExists", reason: "EMAIL_TAKEN" });
      }
    }

    const users = await collect(userClient(server).listUsers({ pageSize: 1000 }));
    expect(users, `SEED=${seed}`).toHaveLength(ROUNDS);
  });
});

/** Another spelling of the same address: in case, in surrounding white space, and in how Unicode composes letters. */
function respell(email: string, random: Random): string {
  const letters = Array.from(email, (letter) => (random.next() < 0.5 ? letter.toUpperCase() : letter));
  const composed = letters.join("").normalize(random.pick(["NFC", "NFD"]));
  const space = random.pick(["", " ", "\t", "\u00a0 "]);
  return `${space}${composed}${random.pick(["", " ", "\n"])}`;
}
