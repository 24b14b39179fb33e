import { expect, onTestFinished } from "vitest";
import type { PrincipalRole } from "../../src/domain/principal.ts";
import { freshDatabase, query } from "../support/database.ts";
import { servingTestServer, startTestServer, type TestServer, userClient } from "../support/server.ts";
import { Member } from "./chat-member.ts";

/** Servers whose calls meet in the same rooms. */
export interface Place {
  readonly servers: readonly [TestServer, ...TestServer[]];
  /** Undefined in memory. */
  readonly databaseUrl: string | undefined;
  /** Opens a call of somebody, at the nth server, or where there are not so many at the last. */
  enter(id: string, replica?: number, role?: PrincipalRole): Member;
}

/** Where rooms can be. */
export const PLACES: readonly {
  where: string;
  /** Opens a place for one test. */
  open: (environment?: Record<string, string>) => Promise<Place>;
}[] = [
  { where: "in memory", open: openInMemory },
  // A replica may hear late who came and went, so that nobody else gets it.
  { where: "of two replicas on PostgreSQL", open: openReplicas },
];

async function openInMemory(environment: Record<string, string> = {}): Promise<Place> {
  return placeOf([await startTestServer({ environment })], undefined);
}

async function openReplicas(environment: Record<string, string> = {}): Promise<Place> {
  const databaseUrl = await freshDatabase();
  const options = { environment: { ...environment, DATABASE_URL: databaseUrl } };
  const servers = await Promise.all([servingTestServer(options), servingTestServer(options)]);
  onTestFinished(async () => {
    await Promise.all(servers.map(({ server }) => server.stop()));
    expect(await presencesIn(databaseUrl), "presences left behind").toBe(0);
  });
  return placeOf(servers, databaseUrl);
}

function placeOf(servers: Place["servers"], databaseUrl: string | undefined): Place {
  const members: Member[] = [];
  onTestFinished(() => {
    for (const member of members) member.cut();
  });
  return {
    servers,
    databaseUrl,
    enter(id, replica = 0, role = "user") {
      const member = new Member(userClient(servers[Math.min(replica, servers.length - 1)] ?? servers[0], { id, role }));
      members.push(member);
      return member;
    },
  };
}

/** How many are shown as being somewhere. */
export async function presencesIn(databaseUrl: string): Promise<number> {
  return (await query(databaseUrl, "SELECT FROM presences")).length;
}
