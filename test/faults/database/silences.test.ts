import { describe, expect, it } from "vitest";
import { freshDatabase } from "../../support/database.ts";
import { userClient } from "../../support/server.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { type CallEnd, endOf, OK, UNAVAILABLE } from "./call-end.ts";
import { watchHealth } from "./health-watch.ts";
import { SERVICE, serve } from "./service.ts";

const CALLS = 10;

describe("connections that have fallen silent, as when another server takes over", () => {
  it("fail the calls that use them, and are not used again when the database is found", async () => {
    const proxy = await startTcpProxy(await freshDatabase());
    const server = await serve(proxy.url, { DATABASE_POOL_SIZE: String(CALLS) });
    const client = userClient(server, SERVICE);
    const health = watchHealth(server, "");
    const list = (): Promise<CallEnd> => endOf(client.listUsersPage({}));
    const listAtOnce = () => Promise.all(Array.from({ length: CALLS }, list));
    expect(await listAtOnce()).toEqual(Array(CALLS).fill(OK));

    const { connections } = proxy;
    proxy.judge = ({ connection }) => (connection <= connections ? "hold" : "pass");
    // The others stay idle.
    expect(await list()).toEqual(UNAVAILABLE);
    await health.until("SERVING");
    expect(await listAtOnce()).toEqual(Array(CALLS).fill(OK));
  });
});
