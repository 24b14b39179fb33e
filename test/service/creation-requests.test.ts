import { describe, expect, it } from "vitest";
import { BLANK_USER, draftUser, type UserDraft, type UserFields } from "../../src/domain/user.ts";
import { CreationRequests } from "../../src/service/creation-requests.ts";

const KEY = Buffer.alloc(32, 1);
const ID = "0b9f1c7e-52c4-4d3a-9f0e-7a1b2c3d4e5f";
const requests = new CreationRequests(() => KEY);

function draft(fields: Partial<UserFields> = {}): UserDraft {
  return draftUser({ ...BLANK_USER, email: "ada@example.com", name: "Ada", ...fields });
}

describe("CreationRequests", () => {
  it("makes the same request of the same content, so that replicas with one key agree", () => {
    const replica = new CreationRequests(() => Buffer.from(KEY));
    expect(replica.of("root", ID, draft())).toEqual(requests.of("root", ID, draft()));
  });

  it("keeps callers apart, and takes ids for the same in any case", () => {
    const request = requests.of("root", ID.toUpperCase(), draft());
    expect(request).toEqual(requests.of("root", ID, draft()));
    expect(request).toMatchObject({ caller: "root", id: ID });
    expect(requests.of("Root", ID, draft())).toMatchObject({ caller: "Root", id: ID });
  });

  it("does not show that two requests have the same content", () => {
    const { fingerprint } = requests.of("root", ID, draft());
    expect(requests.of("Root", ID, draft()).fingerprint).not.toBe(fingerprint);
    expect(requests.of("root", ID.replace(/.$/, "0"), draft()).fingerprint).not.toBe(fingerprint);
  });

  it("makes another fingerprint of every other content", () => {
    const contents: Partial<UserFields>[] = [
      {},
      { email: "Ada@example.com" },
      { name: "ada" },
      { role: "admin" },
      { status: "suspended" },
      { username: "ada" },
      { age: 0 },
      { tags: ["a", "b"] },
      { tags: ["b", "a"] },
      { tags: ["a,b"] },
      { metadata: [["a", "b"]] },
      { metadata: [["b", "a"]] },
      { contact: { kind: "phone", value: "+441234567890" } },
      { contact: { kind: "slackId", value: "+441234567890" } },
      { profile: { bio: "a", avatarUrl: "" } },
      { profile: { bio: "", avatarUrl: "a" } },
    ];
    const fingerprints = contents.map((fields) => requests.of("root", ID, draft(fields)).fingerprint);
    expect(new Set(fingerprints).size).toBe(contents.length);
  });

  it("makes another fingerprint with another key, and tells nothing of the content", () => {
    const { fingerprint } = requests.of("root", ID, draft());
    expect(new CreationRequests(() => Buffer.alloc(32, 2)).of("root", ID, draft()).fingerprint).not.toBe(fingerprint);
    expect(fingerprint).toMatch(/^[\w-]{43}$/);
  });
});
