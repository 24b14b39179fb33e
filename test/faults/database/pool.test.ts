import { describe, expect, it } from "vitest";
import { freshDatabase } from "../../support/database.ts";
import { failureOf } from "../../support/errors.ts";
import { userClient } from "../../support/server.ts";
import { endOf, OK, UNAVAILABLE } from "./call-end.ts";
import { PERSONAL, SERVICE, serve } from "./service.ts";
import { holdLock, LOCKS, untilIdle, untilWaiting } from "./statements.ts";

const ADA = { email: `${PERSONAL}-ada@example.com`, name: `${PERSONAL} Ada` };
const CALLS = 20;

describe("calls that need a connection while another call has the only one", () => {
  it("fail with UNAVAILABLE and may be tried again, and those succeed for which it becomes free", async () => {
    const database = await freshDatabase();
    const server = await serve(database, { DATABASE_POOL_SIZE: "1" });
    const client = userClient(server, SERVICE);
    const lock = await holdLock(database, LOCKS.writes);
    const first = endOf(client.createUser(ADA));
    await untilWaiting(database, 1);

    const others = Array.from({ length: CALLS }, () => client.listUsersPage({}));
    expect(await Promise.all(others.map(endOf))).toEqual(others.map(() => UNAVAILABLE));
    const messages = await Promise.all(others.map(async (call) => (await failureOf(call)).message));
    expect(new Set(messages)).toEqual(new Set(["all connections to the database are in use"]));

    await lock.release();
    expect(await first).toEqual(OK);
    const later = Array.from({ length: CALLS }, () => client.listUsersPage({}));
    expect(await Promise.all(later.map(endOf))).toEqual(later.map(() => OK));
    await untilIdle(database);
  });

  it("are refused at once where deadlines are short, when calls before them have waited in vain", async () => {
    const database = await freshDatabase();
    const server = await serve(database, { DATABASE_POOL_SIZE: "1" });
    const client = userClient(server, SERVICE);
    const lock = await holdLock(database, LOCKS.writes);
    const first = endOf(client.createUser(ADA));
    await untilWaiting(database, 1);

    const impatient = () =>
      Array.from({ length: CALLS }, () => failureOf(client.listUsersPage({}, { timeoutMs: 400 })));
    const inVain = await Promise.all(impatient());
    expect(new Set(inVain.map(({ code }) => code))).toEqual(new Set(["DeadlineExceeded"]));
    await server.logs.waitForCalls(CALLS, "ListUsersPage");
    const reasons = (await Promise.all(impatient())).map(({ reason }) => reason);
    // With the call that has the connection, 16.
    expect(reasons.filter((reason) => reason === "OVERLOADED")).toHaveLength(CALLS - 15);

    await lock.release();
    expect(await first).toEqual(OK);
    for (let count = 0; count < CALLS; count++) await client.listUsersPage({});
    await untilIdle(database);
  });
});
