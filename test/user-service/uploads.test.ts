import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Principal } from "../../src/domain/principal.ts";
import { UploadFormat } from "../../src/gen/user/v1/upload_pb.ts";
import { UserRole, UserStatus } from "../../src/gen/user/v1/user_pb.ts";
import { WatchEventType } from "../../src/gen/user/v1/watch_pb.ts";
import { failureOf } from "../support/errors.ts";
import { emptyReplicas } from "../support/replicas.ts";
import { startTestServer, type TestServer, userClient } from "../support/server.ts";
import { csvOf, everybody, NDJSON, NOTHING, summaryOf, upload } from "./upload-files.ts";
import { createUser, getUser, updateUser } from "./users.ts";

const SERVICE: Principal = { id: "importer", role: "service" };
const FILE = "email,name\nada@example.com,Ada\n";

function lendPostgres(): () => Promise<TestServer> {
  const empty = emptyReplicas(1);
  return async () => (await empty()).servers[0];
}

describe.each([
  { where: "in memory", lend: () => () => startTestServer() },
  { where: "in PostgreSQL", lend: lendPostgres },
])("UploadUserData, with users $where", ({ lend }) => {
  const start = lend();

  it("imports a CSV file, whatever pieces it comes in", async () => {
    const client = userClient(await start());
    for (const [round, chunkBytes] of [1, 7, 1000].entries()) {
      const uploadId = randomUUID();
      const file = `\ufeff${csvOf(3, `é${round}-`)}"quoted@example.com","Ünï""cöde"" 😀",,\r\n`;
      const response = await upload(client, file, { chunkBytes, header: { uploadId } });
      expect(response.uploadId).toBe(uploadId);
      expect(summaryOf(response)).toMatchObject({ rows: 4, created: round === 0 ? 4 : 3 });
    }
    const users = await everybody(client);
    expect(users).toHaveLength(10);
    expect(users[3]).toMatchObject({ email: "quoted@example.com", name: 'Ünï"cöde" 😀' });
    expect(users[1]).toMatchObject({ email: "é0-1@example.com", name: "Name 1", age: 1, tags: ["tag1", "x"] });
  });

  it("imports JSON objects, one on each line", async () => {
    const client = userClient(await start());
    const file = `{"email":"a@example.com","name":"A","role":"USER_ROLE_ADMIN","profile":{"bio":"b"}}\n\n{"email":"b@example.com","name":"B"}`;
    expect(summaryOf(await upload(client, file, NDJSON))).toEqual({ ...NOTHING, rows: 2, created: 2 });
    expect(await everybody(client)).toMatchObject([
      { email: "a@example.com", name: "A", role: UserRole.ADMIN, profile: { bio: "b" } },
      { email: "b@example.com", name: "B", role: UserRole.USER, status: UserStatus.ACTIVE },
    ]);
  });

  it("changes what a row names of the user with its e-mail address, and leaves the rest", async () => {
    const client = userClient(await start());
    const ada = await createUser(client, {
      email: "ada@example.com",
      name: "Ada",
      username: "ada",
      age: 36,
      tags: ["first"],
      metadata: { team: "engine", floor: "1" },
      contact: { case: "phone", value: "+441234567890" },
      profile: { bio: "Writes notes.", avatarUrl: "http://a" },
    });
    const grace = await createUser(client, { email: "grace@example.com", name: "Grace" });
    const file = `email,name,username,tags,metadata.team,slack_id,bio,status
ADA@example.com,Ada L.,,,notes,U0ADA,Writes programs.,
grace@example.com,Grace,,,,,,ACTIVE
eve@example.com,Eve,eve,,,,,
ada@example.com,Ada L.,Ada,second,,,,
`;
    expect(summaryOf(await upload(client, file))).toEqual({ ...NOTHING, rows: 4, created: 1, updated: 2, skipped: 1 });
    const [changed, same, eve] = await everybody(client);
    const { etag, updatedAt, $typeName, ...rest } = ada;
    expect(changed).toMatchObject({
      ...rest,
      name: "Ada L.",
      username: "Ada",
      tags: ["second"],
      metadata: { team: "notes", floor: "1" },
      contact: { case: "slackId", value: "U0ADA" },
      profile: { bio: "Writes programs.", avatarUrl: "http://a" },
    });
    expect(changed?.etag).not.toBe(etag);
    expect(same).toEqual(grace);
    expect(eve).toMatchObject({ email: "eve@example.com", username: "eve" });
  });

  it("reports the rows that cannot be imported, and imports the others", async () => {
    const client = userClient(await start());
    await createUser(client, { email: "taken@example.com", username: "taken" });
    const file = `email,name,username,age,bio,metadata.team
a@example.com,A,,,"two
lines",x
not an address,B,,,,
c@example.com,,,,,
d@example.com,D,taken,,,
e@example.com,E,,151,,
f@example.com,F
g@example.com,G,,7,,
h@example.com,H,,,,${"x".repeat(513)}
i@example.com,I,.i,,,
`;
    const response = await upload(client, file);
    expect(summaryOf(response)).toEqual({
      rows: 9,
      created: 2,
      updated: 0,
      skipped: 0,
      failed: 7,
      failures: [
        "4 email: EMAIL_INVALID",
        "5 name: STRING_MIN_BYTES",
        "6 username: USERNAME_TAKEN",
        "7 age: INT32_GTE_LTE",
        "8 : FIELD_COUNT",
        '10 metadata["team"]: STRING_MAX_BYTES',
        "11 username: STRING_PATTERN",
      ],
    });
    const told = JSON.stringify(response.failures.map(({ description }) => description));
    for (const value of ["not an", "d@", "taken@", "151", "xxx", ".i"]) expect(told).not.toContain(value);
    expect((await everybody(client)).map(({ name }) => name)).toEqual(["Grace", "A", "G"]);
  });

  it("tells of the first hundred rows that failed", async () => {
    const client = userClient(await start());
    const file = `email,name\n${"nobody,N\n".repeat(1100)}last@example.com,L\n`;
    const { failures, ...response } = await upload(client, file);
    expect(failures.map(({ line }) => Number(line))).toEqual(Array.from({ length: 100 }, (_, index) => index + 2));
    expect(response).toMatchObject({ rowCount: 1101n, failedCount: 1100n, createdCount: 1n });
  });

  it("reports a row in which a service sets role or status, and lets an admin do it", async () => {
    const server = await start();
    const [admin, service] = [userClient(server), userClient(server, SERVICE)];
    await createUser(admin, { email: "root@example.com", role: UserRole.ADMIN });
    await createUser(admin, { email: "plain@example.com" });
    const file = `email,name,role,status
root@example.com,Root,admin,
plain@example.com,Plain,admin,
root@example.com,Root,user,
new@example.com,New,admin,
other@example.com,Other,,suspended
third@example.com,Third,user,active
`;
    const denied = [3, 4, 5, 6].map((line) => `${line} : CALLER_NOT_ALLOWED`);
    expect(summaryOf(await upload(service, file))).toEqual({
      rows: 6,
      created: 1,
      updated: 1,
      skipped: 0,
      failed: 4,
      failures: denied,
    });
    expect(summaryOf(await upload(admin, file))).toMatchObject({ created: 2, updated: 2, skipped: 2, failed: 0 });
    const found = await everybody(admin);
    expect(found.map(({ email, role, status }) => [email, role, status])).toEqual([
      ["root@example.com", UserRole.USER, UserStatus.ACTIVE],
      ["plain@example.com", UserRole.ADMIN, UserStatus.ACTIVE],
      ["third@example.com", UserRole.USER, UserStatus.ACTIVE],
      ["new@example.com", UserRole.ADMIN, UserStatus.ACTIVE],
      ["other@example.com", UserRole.USER, UserStatus.SUSPENDED],
    ]);
  });

  it("answers the same file with the same report, and does nothing again", async () => {
    const client = userClient(await start());
    const header = { uploadId: randomUUID() };
    const file = `${csvOf(1200)}nobody,N,,\n`;
    const first = await upload(client, file, { header });
    expect(summaryOf(first)).toEqual({
      ...NOTHING,
      rows: 1201,
      created: 1200,
      failed: 1,
      failures: ["1202 email: EMAIL_INVALID"],
    });
    const [user] = (await client.listUsersPage({ pageSize: 1 })).users;
    const renamed = await updateUser(client, { id: user?.id ?? "", name: "Renamed since" }, "name");
    const again = await upload(client, file, { header: { uploadId: header.uploadId.toUpperCase() }, chunkBytes: 999 });
    expect(summaryOf(again)).toEqual(summaryOf(first));
    expect(await getUser(client, renamed.id)).toEqual(renamed);
  });

  it("fails with INVALID_ARGUMENT for another file under the same id of the same caller", async () => {
    const server = await start();
    const client = userClient(server);
    const header = { uploadId: randomUUID() };
    await upload(client, FILE, { header });
    for (const [file, options] of [
      [`${FILE}bob@example.com,Bob\n`, {}],
      [FILE.replace("ada", "bob"), {}],
      ['{"email":"ada@example.com"}', { format: UploadFormat.NDJSON }],
    ] as const) {
      expect(await failureOf(upload(client, file, { header: { ...header, ...options } }))).toMatchObject({
        code: "InvalidArgument",
        violations: ["messages[0].header.upload_id: UPLOAD_ID_REUSED"],
      });
    }
    expect(await everybody(client)).toHaveLength(1);
    const bob = await upload(userClient(server, SERVICE), FILE.replace("ada", "bob"), { header });
    expect(summaryOf(bob)).toMatchObject({ created: 1 });
  });

  it("imports nothing of a file that is another than the header says", async () => {
    const client = userClient(await start());
    const length = BigInt(FILE.length);
    for (const [header, message] of [
      [{ sizeBytes: length + 1n }, `the header says ${length + 1n} bytes, ${length} have arrived`],
      [{ sizeBytes: length - 1n }, `the header says ${length - 1n} bytes, more have arrived`],
      [{ sha256: new Uint8Array(32) }, "the SHA-256 is not the one that the header says"],
    ] as const) {
      expect(await failureOf(upload(client, FILE, { header }))).toMatchObject({
        code: "DataLoss",
        reason: "UPLOAD_DAMAGED",
        message,
      });
    }
    expect(await everybody(client)).toEqual([]);
    // What has failed is no upload: the id can be used.
    expect(summaryOf(await upload(client, FILE))).toMatchObject({ created: 1 });
  });

  it("imports nothing of a file that cannot be read to its end", async () => {
    const client = userClient(await start());
    for (const [end, message, options] of [
      [
        '"never closed',
        "file must be CSV (RFC 4180), but has a quote that is never closed in the row on line 1202",
        {},
      ],
      ["\xff", "file must be UTF-8, as line 1202 is not", {}],
      ["\xff", "file must be UTF-8, as line 1202 is not", NDJSON],
    ] as const) {
      const file = Buffer.concat([Buffer.from(csvOf(1200)), Buffer.from(end, "latin1")]);
      const failure = await failureOf(upload(client, file, options));
      expect(failure).toMatchObject({ code: "InvalidArgument", reason: "INVALID_REQUEST" });
      expect(failure.message).toContain(message);
    }
    expect(await everybody(client)).toEqual([]);
  });

  it("is seen by those who watch users", async () => {
    const client = userClient(await start());
    const watching = new AbortController();
    const events = client.watchUsers({}, watching)[Symbol.asyncIterator]();
    await events.next();
    await upload(client, FILE);
    for (;;) {
      const { value } = await events.next();
      if (value?.type === WatchEventType.HEARTBEAT) continue;
      expect(value).toMatchObject({ type: WatchEventType.CREATED, user: { email: "ada@example.com" } });
      break;
    }
    watching.abort();
    await events.next().catch(() => {});
  });
});
