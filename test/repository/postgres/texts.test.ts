import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { parseEmail } from "../../../src/domain/email.ts";
import { TakenError, UserNotFoundError } from "../../../src/domain/errors.ts";
import { BLANK_USER, fieldsOf, type UserFields } from "../../../src/domain/user.ts";
import { type User, UserSchema } from "../../../src/gen/user/v1/user_pb.ts";
import type { NewUser } from "../../../src/repository/user-repository.ts";
import { freshDatabase, query } from "../../support/database.ts";
import { FULL } from "../../support/full.ts";
import { chooseSeed } from "../../support/random.ts";
import { collect, servingTestServer, streamOf, userClient } from "../../support/server.ts";
import { testStores } from "../../support/store.ts";
import { trickyTexts } from "../../support/texts.ts";
import { errorOf, everybody, idsOf, SCOPE } from "../suite/drafts.ts";

const emptyStore = testStores();

/** How many calls are under way at a time: no more than there are connections, so that none has to wait for one. */
const CALLS = 10;

async function forEach<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  const entries = items.entries();
  const workers = Array.from({ length: CALLS }, async () => {
    for (const [index, item] of entries) await work(item, index);
  });
  await Promise.all(workers);
}

/** The text after this one, or the first. */
function nextOf(texts: readonly string[], index: number): string {
  return texts[(index + 1) % texts.length] ?? "";
}

/** The beginning of a text, as far as it takes no more bytes than these. */
function fitting(text: string, bytes: number): string {
  const buffer = Buffer.from(text);
  // What is cut in two becomes U+FFFD, of three bytes.
  return buffer.length <= bytes ? text : buffer.subarray(0, bytes - 3).toString();
}

/** Somebody's own address, with as much of this text in it as an address may have. */
function emailOf(text: string, index: number): string {
  const email = `${fitting(text.replace(/[\s\p{C}()<>[\]:;@\\,"]/gu, ""), 56)}.${index}@example.com`;
  return parseEmail(email) === undefined ? `${index}@example.com` : email;
}

/** Somebody's own username, with as much of this text in it as a username may have. */
function usernameOf(text: string, index: number): string {
  return `${index}.${text.replace(/[^A-Za-z0-9_.-]/g, "")}`.slice(0, 32);
}

/** A user who has this text wherever a user has one, whether it makes sense there or not. */
function userWith(text: string, index: number): NewUser {
  const email = emailOf(text, index);
  const username = usernameOf(text, index);
  const metadata: UserFields["metadata"] = [
    [text, text],
    [`${text}${text}`, ""],
  ];
  return {
    ...BLANK_USER,
    email,
    emailKey: parseEmail(email)?.normalized ?? "",
    name: text,
    username,
    usernameKey: username.toLowerCase(),
    tags: [text, "", `${text}${text}`],
    metadata,
    contact: { kind: "phone", value: text },
    profile: { bio: text, avatarUrl: text },
    request: { caller: text, id: `${index}`, fingerprint: text },
  };
}

describe("PostgresUserRepository", () => {
  const seed = chooseSeed();
  const texts = trickyTexts(FULL ? 1000 : 200, seed);

  it("keeps every text exactly as it was given, and every name of those who set a status", async () => {
    const { url, users: repository } = await emptyStore();
    const batch = texts.map(userWith);
    const created = await repository.create(batch, SCOPE);
    expect(created.map(fieldsOf), `SEED=${seed}`).toEqual(batch.map(fieldsOf));
    expect(await everybody(repository), `SEED=${seed}`).toEqual(created);
    expect(await repository.create(batch, SCOPE), `SEED=${seed}, repeated`).toEqual(created);

    const others = texts.map(
      (_, index) => ({ ...userWith(nextOf(texts, index), index), status: "suspended" }) as const,
    );
    await forEach(others, async (other, index) => {
      const user = created[index] ?? expect.fail("nobody was created");
      const change = (seen: typeof user) => {
        expect(seen, `SEED=${seed}`).toEqual(user);
        return other;
      };
      const scope = { ...SCOPE, author: { id: texts[index] ?? "", role: "admin" } } as const;
      expect(fieldsOf(await repository.update(user.id, change, scope)), `SEED=${seed}`).toEqual(fieldsOf(other));
    });
    const updated = await repository.getMany(idsOf(created), SCOPE);
    expect(updated.map((user) => user && fieldsOf(user))).toEqual(others.map(fieldsOf));
    const records = await query<{ author_id: string }>(url, "SELECT author_id FROM audit_records ORDER BY user_id");
    expect(
      records.map((record) => record.author_id),
      `SEED=${seed}`,
    ).toEqual(texts);
  });

  it("finds every e-mail address and every username that is taken", async () => {
    const { users: repository } = await emptyStore();
    await repository.create(texts.map(userWith), SCOPE);
    await forEach(texts, async (text, index) => {
      const { emailKey, ...rest } = { ...userWith(text, index), request: undefined };
      const email = index % 2 === 0;
      const user = email
        ? { ...rest, emailKey, username: undefined, usernameKey: undefined }
        : { ...rest, emailKey: "other@example.com" };
      const error = await errorOf(repository.create([user], SCOPE));
      expect(error, `SEED=${seed}, ${text}`).toBeInstanceOf(TakenError);
      expect(error, `SEED=${seed}, ${text}`).toMatchObject({ field: email ? "email" : "username" });
    });
  });

  it("finds nobody who has such a text for an id", async () => {
    const { users: repository } = await emptyStore();
    await repository.create([userWith("somebody", 0)], SCOPE);
    expect(new Set(await repository.getMany(texts, SCOPE))).toEqual(new Set([undefined]));
    await forEach(texts, async (text) => {
      expect(await errorOf(repository.get(text, SCOPE)), `SEED=${seed}, ${text}`).toBeInstanceOf(UserNotFoundError);
      expect(await repository.isSuspended(text), `SEED=${seed}, ${text}`).toBe(false);
      expect((await repository.list({ after: text, limit: 9 }, SCOPE)).length).toBeLessThanOrEqual(1);
    });
    expect(await everybody(repository)).toHaveLength(1);
  });
});

/** A user who has this text wherever the contract admits it. */
function messageWith(text: string, index: number) {
  const name = fitting(text.replace(/\p{Cc}/gu, ""), 512);
  const avatarUrl = `https://example.com/?${encodeURIComponent(text)}`;
  return {
    email: emailOf(text, index),
    name: name.trim() === "" ? "blank" : name,
    username: usernameOf(text, index),
    tags: [fitting(text, 64), "last"],
    metadata: { text: fitting(text, 512), constructor: "no function", "10": "after 9", "9": "" },
    profile: { bio: fitting(text, 16_384), avatarUrl: avatarUrl.length > 2048 ? "" : avatarUrl },
  } satisfies MessageInitShape<typeof UserSchema>;
}

/** What a message says where messageWith says something. */
function textsOf({ email, name, username, tags, metadata, profile }: User) {
  return { email, name, username, tags, metadata, profile };
}

describe("UserService on PostgreSQL", () => {
  it("keeps every text exactly as it was given", async () => {
    const seed = chooseSeed();
    const texts = trickyTexts(FULL ? 1000 : 60, seed);
    const server = await servingTestServer({ environment: { DATABASE_URL: await freshDatabase() } });
    const client = userClient(server);
    const given = texts.map(messageWith);
    const { userIds } = await client.createUsers(streamOf(...given));
    const read = async () => (await collect(client.listUsers({ streamAll: true }))).map(textsOf);
    const expected = (messages: typeof given) => messages.map((message) => textsOf(create(UserSchema, message)));
    expect(await read(), `SEED=${seed}`).toEqual(expected(given));

    const others = texts.map((_, index) => messageWith(nextOf(texts, index), index));
    await forEach(userIds, async (id, index) => {
      const { user } = await client.updateUser({ user: { id, ...others[index] }, updateMask: { paths: ["*"] } });
      expect(user && textsOf(user), `SEED=${seed}`).toEqual(expected(others.slice(index, index + 1))[0]);
      expect((await client.getUser({ id })).user, `SEED=${seed}`).toEqual(user);
    });
    expect(await read(), `SEED=${seed}`).toEqual(expected(others));
  });
});
