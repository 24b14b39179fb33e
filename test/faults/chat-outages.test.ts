import { describe, expect, it } from "vitest";
import { RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { freshDatabase } from "../support/database.ts";
import { FULL } from "../support/full.ts";
import { servingTestServer, type TestServer, userClient } from "../support/server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { Member, TEXT } from "../user-service/chat-member.ts";

const ROOM = "lobby";

function enter(server: TestServer, id: string): Member {
  return new Member(userClient(server, { id, role: "user" }));
}

describe("Chat, when the database is lost", () => {
  it("fails with UNAVAILABLE and says when to try again; who joins again misses nothing and posts nothing twice", async () => {
    const url = await freshDatabase();
    const proxy = await startTcpProxy(url);
    const server = await servingTestServer({ environment: { DATABASE_URL: proxy.url } });
    const other = await servingTestServer({ environment: { DATABASE_URL: url } });
    const [ada, bob] = [enter(server, "ada"), enter(other, "bob")];
    for (const member of [ada, bob]) await member.join(ROOM);
    ada.post(ROOM, "one", "1");
    await ada.hears("1 ada: one");
    // It is posted, but the author does not hear of it.
    proxy.judge = ({ text }) => (text.includes("COMMIT") ? "cut at the answer" : "pass");
    ada.post(ROOM, "two", "2");
    expect(await ada.end).toMatchObject({ code: "Unavailable", reason: "STORE_UNAVAILABLE" });
    expect(ada.error?.findDetails(RetryInfoSchema)).toHaveLength(1);
    proxy.close();
    await bob.hears("2 ada: two");
    bob.post(ROOM, "three");
    await bob.hears("3 bob: three");
    await expect.poll(() => server.server.openCalls).toBe(0);

    const refused = enter(server, "ada");
    refused.join(ROOM).catch(() => {});
    expect(await refused.end).toMatchObject({ code: "Unavailable", reason: "STORE_UNAVAILABLE" });
    const again = enter(other, "ada");
    await again.join(ROOM, 1);
    again.post(ROOM, "two", "2");
    again.post(ROOM, "four", "4");
    await again.hears("4 ada: four");
    expect(again.textsIn(ROOM)).toEqual(["2 ada: two", "3 bob: three", "4 ada: four"]);
    for (const member of [again, bob]) expect(await member.finish()).toBeUndefined();
    expect(bob.messages.filter(({ type }) => type === TEXT)).toHaveLength(4);
  });

  it("ends the calls of those who only listen, and serves them again when it is back", async () => {
    const url = await freshDatabase();
    const proxy = await startTcpProxy(url);
    const server = await servingTestServer({ environment: { DATABASE_URL: proxy.url } });
    const members = ["ada", "bob", "eve"].map((id) => enter(server, id));
    for (const member of members) await member.join(ROOM);
    await members[0]?.sees(ROOM, "ada", "bob", "eve");
    proxy.close();
    for (const { end } of members)
      expect(await end).toMatchObject({ code: "Unavailable", reason: "STORE_UNAVAILABLE" });
    await expect.poll(() => server.server.openCalls).toBe(0);
    await proxy.listen();
    const again = await until(async () => {
      const member = enter(server, "ada");
      return (await member.join(ROOM).catch(() => undefined)) && member;
    });
    // Nobody could be told in the table: it takes as long as if the process had died.
    if (FULL) await again.sees(ROOM, "ada");
    expect(await again.finish()).toBeUndefined();
  });
});

/** Tries until there is a result. */
async function until<T>(attempt: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const result = await attempt();
    if (result !== undefined) return result;
  }
}
