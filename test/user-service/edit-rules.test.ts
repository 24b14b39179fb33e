import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Principal } from "../../src/domain/principal.ts";
import { OPERATION_RETENTION } from "../../src/repository/documents.ts";
import { freshDatabase, query } from "../support/database.ts";
import { EditCallOfTest } from "../support/edit-call.ts";
import type { EditRequest } from "../support/editor.ts";
import { failureOf } from "../support/errors.ts";
import { ADMIN, servingTestServer, type TestServer, userClient } from "../support/server.ts";
import { createUser, getUser } from "./users.ts";

const ADA: Principal = { id: "ada", role: "user" };
const BOB: Principal = { id: "bob", role: "user" };

function call(server: TestServer, principal: Principal = ADMIN): EditCallOfTest {
  return new EditCallOfTest(userClient(server, principal));
}

describe("CollaborativeEdit", () => {
  /** A server, and a user with this bio. */
  async function startWith(bio = "ab") {
    const server = await servingTestServer();
    const admin = userClient(server);
    const { id } = await createUser(admin, { profile: { bio } });
    return { server, admin, id };
  }

  it.each<[string, EditRequest["request"]]>([
    ["a cursor", { case: "cursor", value: { position: 0, selectionEnd: 0 } }],
    ["an operation", { case: "operation", value: { operationId: randomUUID(), baseRevision: 0n, steps: [] } }],
  ])("fails with INVALID_ARGUMENT if %s comes before the document is opened", async (_what, request) => {
    const { server } = await startWith();
    expect(await failureOf(call(server).say(request).rest())).toMatchObject({
      code: "InvalidArgument",
      violations: ["messages[0]: OPEN_MISSING"],
    });
  });

  it("fails with INVALID_ARGUMENT if a document is opened again", async () => {
    const { server, id } = await startWith();
    const editor = call(server).open(id).move(1).open(id);
    expect(await failureOf(editor.rest())).toMatchObject({
      code: "InvalidArgument",
      violations: ["messages[2].open: OPEN_AGAIN"],
    });
  });

  it("fails with INVALID_ARGUMENT if the editor says nothing", async () => {
    const { server } = await startWith();
    const editor = call(server);
    editor.halfClose();
    expect(await failureOf(editor.rest())).toMatchObject({ violations: ["messages: STREAM_EMPTY"] });
  });

  it("fails with NOT_FOUND if there is no such user", async () => {
    const { server } = await startWith();
    expect(await failureOf(call(server).open("nobody").rest())).toMatchObject({
      code: "NotFound",
      reason: "USER_NOT_FOUND",
      resource: "user.v1.User/nobody",
    });
  });

  it.each([1, Number.MAX_SAFE_INTEGER])("fails with OUT_OF_RANGE to go on after revision %d of 0", async (revision) => {
    const { server, id } = await startWith();
    expect(await failureOf(call(server).open(id, revision).rest())).toMatchObject({
      code: "OutOfRange",
      reason: "REVISION_UNKNOWN",
      message: "there is no such revision yet",
    });
  });

  it("fails with OUT_OF_RANGE for an operation on a text that is not there yet", async () => {
    const { server, id } = await startWith();
    const editor = call(server).open(id);
    editor.edit(1, ["x"]);
    expect(await failureOf(editor.rest())).toMatchObject({ code: "OutOfRange", reason: "REVISION_UNKNOWN" });
  });

  it("makes the text as long as it may be, and no longer", async () => {
    const { server, admin, id } = await startWith("é");
    const editor = call(server).open(id);
    await editor.snapshot();
    editor.edit(0, ["x".repeat(16_382)]);
    await editor.operation();
    expect((await getUser(admin, id)).profile?.bio).toHaveLength(16_383);
    editor.edit(1, ["x"]);
    expect(await failureOf(editor.rest())).toMatchObject({
      code: "InvalidArgument",
      violations: ["messages[2].operation.steps: TEXT_TOO_LONG"],
    });
  });

  it.each([
    ["operation_id", { operationId: "no UUID" }, "STRING_UUID"],
    ["base_revision", { baseRevision: -1n }, "INT64_GTE"],
    [
      "steps",
      { steps: Array.from({ length: 1001 }, () => ({ step: { case: "retain", value: 1 } })) },
      "REPEATED_MAX_ITEMS",
    ],
    ["steps[0].retain", { steps: [{ step: { case: "retain", value: 0 } }] }, "INT32_GT"],
    ["steps[0].delete", { steps: [{ step: { case: "delete", value: -1 } }] }, "INT32_GT"],
    ["steps[0].insert", { steps: [{ step: { case: "insert", value: "" } }] }, "STRING_MIN_BYTES"],
    ["steps[0].insert", { steps: [{ step: { case: "insert", value: "a\0" } }] }, "STRING_NULL_CHARACTER"],
    ["steps[0].insert", { steps: [{ step: { case: "insert", value: "x".repeat(16_385) } }] }, "STRING_MAX_BYTES"],
    ["steps[0].step", { steps: [{}] }, "REQUIRED"],
  ])("fails with INVALID_ARGUMENT for a wrong %s", async (field, fields, reason) => {
    const { server, id } = await startWith();
    const operation = { operationId: randomUUID(), baseRevision: 0n, steps: [], ...fields };
    // What is wrong with some of them is their type.
    const editor = call(server)
      .open(id)
      .say({ case: "operation", value: operation as never });
    expect(await failureOf(editor.rest())).toMatchObject({
      code: "InvalidArgument",
      violations: [`messages[1].operation.${field}: ${reason}`],
    });
  });

  it.each([
    ["position", { position: -1, selectionEnd: 0 }],
    ["selection_end", { position: 0, selectionEnd: -1 }],
  ])("fails with INVALID_ARGUMENT for a negative %s", async (field, value) => {
    const { server, id } = await startWith();
    const editor = call(server).open(id).say({ case: "cursor", value });
    expect(await failureOf(editor.rest())).toMatchObject({
      violations: [`messages[1].cursor.${field}: INT32_GTE`],
    });
  });

  it("takes an operation of many steps, and one that does nothing", async () => {
    const { server, admin, id } = await startWith("x".repeat(600));
    const editor = call(server).open(id);
    await editor.snapshot();
    editor.edit(0, Array.from({ length: 500 }, () => [1, "é"]).flat());
    expect((await editor.operation()).steps).toHaveLength(1000);
    expect((await getUser(admin, id)).profile?.bio).toBe(`${"xé".repeat(500)}${"x".repeat(100)}`);
    const { etag } = await getUser(admin, id);
    editor.edit(1, []);
    expect(await editor.operation()).toMatchObject({ revision: 2, steps: [] });
    expect((await getUser(admin, id)).etag).toBe(etag);
  });

  it("tells of an operation without steps if others had already done all of it", async () => {
    const { server, id } = await startWith("abc");
    const [ada, bob] = [call(server, ADA).open(id), call(server, BOB).open(id)];
    await ada.snapshot();
    await bob.snapshot();
    ada.edit(0, [{ d: 3 }]);
    await ada.operation();
    const operationId = bob.edit(0, [1, { d: 1 }]);
    expect(await ada.operation()).toEqual({ revision: 2, steps: [], userId: "bob", operationId });
  });

  it("sends the text, or fails with OUT_OF_RANGE, where the operations since are no longer kept", async () => {
    const url = await freshDatabase();
    const server = await servingTestServer({ environment: { DATABASE_URL: url } });
    const { id } = await createUser(userClient(server), { profile: { bio: "ab" } });
    const ada = call(server, ADA).open(id);
    await ada.snapshot();
    for (let revision = 0; revision < 3; revision++) {
      ada.edit(revision, ["x"]);
      await ada.operation();
    }
    // While somebody has it open, a replica may have more of it.
    ada.halfClose();
    await ada.rest();
    await query(url, "DELETE FROM document_operations WHERE revision <= 2; UPDATE documents SET expired_through = 2");
    const bob = call(server, BOB).open(id, 1);
    expect(await bob.snapshot()).toEqual({ revision: 3, text: "xxxab" });
    expect(await call(server, BOB).open(id, 2).operation()).toMatchObject({ revision: 3 });
    bob.edit(1, ["y"]);
    expect(await failureOf(bob.rest())).toMatchObject({ code: "OutOfRange", reason: "OPERATIONS_EXPIRED" });
  });

  it("keeps the last 10 000 operations, for 7 days", () => {
    expect(OPERATION_RETENTION).toEqual({ maxCount: 10_000, maxAgeMs: 7 * 86_400_000 });
  });

  it("is for any caller who proves who they are, whose id it tells the others", async () => {
    const { server, id } = await startWith();
    const service = call(server, { id: "importer", role: "service" }).open(id);
    await service.snapshot();
    service.edit(0, ["x"]);
    expect((await service.operation()).userId).toBe("importer");
    const stranger = new EditCallOfTest(userClient(server, null)).open(id);
    expect(await failureOf(stranger.rest())).toMatchObject({ code: "Unauthenticated" });
  });
});
