import { describe, expect, it } from "vitest";
import { freshDatabase } from "../../support/database.ts";
import { failureOf } from "../../support/errors.ts";
import { ADMIN, userClient } from "../../support/server.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { type CallEnd, endOf, OK, UNAVAILABLE } from "./call-end.ts";
import { watchHealth } from "./health-watch.ts";
import { SERVICE, serve } from "./service.ts";

const POOL_SIZE = 3;
/** The connection that is made first watches over the database. */
const HEARTBEAT = 1;

describe("pooled connections that have fallen silent, while the database is known to be there", () => {
  it("fail calls whose callers may be suspended, until there are new ones", async () => {
    const proxy = await startTcpProxy(await freshDatabase());
    const server = await serve(proxy.url, { DATABASE_POOL_SIZE: String(POOL_SIZE) });
    const health = watchHealth(server, "");
    await health.until("SERVING");
    const importer = userClient(server, SERVICE);
    const warmUp = Array.from({ length: POOL_SIZE }, () => endOf(importer.listUsersPage({})));
    expect(await Promise.all(warmUp)).toEqual(Array(POOL_SIZE).fill(OK));
    const admin = userClient(server, ADMIN);
    const list = (): Promise<CallEnd> => endOf(admin.listUsersPage({}));
    expect(await list()).toEqual(OK);

    const { connections } = proxy;
    const silent = new Set<number>();
    let onSilent = Promise.withResolvers<void>();
    proxy.judge = ({ connection }) => {
      if (connection === HEARTBEAT || connection > connections) return "pass";
      silent.add(connection);
      onSilent.resolve();
      onSilent = Promise.withResolvers();
      return "hold";
    };
    // Each asks in a statement of its own, over a connection of its own.
    const stuck: Promise<CallEnd>[] = [];
    while (silent.size < POOL_SIZE) {
      const next = onSilent.promise;
      stuck.push(list());
      await next;
    }
    const { message } = await failureOf(admin.listUsersPage({}));
    expect(message).toBe("all connections to the database are in use");
    expect(await Promise.all(stuck)).toEqual(stuck.map(() => UNAVAILABLE));

    let end = await list();
    for (; end.code !== "OK"; end = await list()) expect(end).toEqual(UNAVAILABLE);
    expect(await Promise.all(Array.from({ length: 10 }, list))).toEqual(Array(10).fill(OK));
    expect(health.said).toEqual(["SERVING"]);
  });
});
