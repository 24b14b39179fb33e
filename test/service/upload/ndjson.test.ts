import { describe, expect, it } from "vitest";
import { UserRole } from "../../../src/gen/user/v1/user_pb.ts";
import { MAX_ROW_BYTES } from "../../../src/service/upload/file-row.ts";
import { faultOf, readNdjson, request } from "./rows.ts";

const ADA = '{"email":"ada@example.com","name":"Ada"}';

describe("a file of JSON objects", () => {
  it.each([
    ["a line break at the end", `${ADA}\n${ADA}\n`, [1, 2]],
    ["no line break at the end", `${ADA}\n${ADA}`, [1, 2]],
    ["line breaks of two characters", `${ADA}\r\n${ADA}\r\n`, [1, 2]],
    ["blank lines", `\n \t\n${ADA}\n\r\n${ADA}\n\n`, [3, 5]],
    ["a byte order mark", `\ufeff${ADA}\n${ADA}`, [1, 2]],
  ])("has a row for each line, with %s, in any pieces", async (_what, file, lines) => {
    const ada = request({ email: "ada@example.com", name: "Ada" });
    const expected = lines.map((line) => [line, ada]);
    for (let bytes = 1; bytes <= 50; bytes++) expect(await readNdjson(file, bytes), `${bytes}`).toEqual(expected);
    expect(await readNdjson(file)).toEqual(expected);
  });

  it("may have nothing in it", async () => {
    expect(await readNdjson("")).toEqual([]);
    expect(await readNdjson("\n\n")).toEqual([]);
  });

  it("has the JSON form of protobuf", async () => {
    const user = {
      email: "a@b",
      name: "\\ud83d\\ude00",
      role: "USER_ROLE_ADMIN",
      status: 1,
      age: "36",
      slackId: "U012",
      profile: { avatar_url: "http://a", bio: null },
      metadata: { constructor: "x" },
      tags: ["x"],
    };
    expect(await readNdjson(JSON.stringify(user).replaceAll("\\\\", "\\"))).toEqual([
      [
        1,
        request({
          email: "a@b",
          name: "😀",
          role: UserRole.ADMIN,
          status: 1,
          age: 36,
          contact: { case: "slackId", value: "U012" },
          profile: { avatarUrl: "http://a" },
          metadata: { constructor: "x" },
          tags: ["x"],
        }),
      ],
    ]);
  });

  it.each([
    ["no JSON", '{"email":', ": ROW_INVALID"],
    ["no object", '["a@b"]', ": ROW_INVALID"],
    ["null", "null", ": ROW_INVALID"],
    ["a field that does not exist", '{"email":"a@b","nickname":"x"}', ": ROW_INVALID"],
    ["a field that every object has", '{"__proto__":{"email":"a@b"},"name":"x"}', ": ROW_INVALID"],
    ["a value of another type", '{"email":5}', "email: JSON_INVALID"],
    ["an age that is not whole", '{"age":1.5}', "age: JSON_INVALID"],
    ["a role that does not exist", '{"role":"owner"}', "role: JSON_INVALID"],
    ["a fact that is no text", '{"metadata":{"a":5}}', "metadata: JSON_INVALID"],
    ["a profile that is none", '{"profile":"x"}', "profile: JSON_INVALID"],
    ["a wrong value in the profile", '{"profile":{"avatarUrl":5}}', "profile.avatar_url: JSON_INVALID"],
    ["two contacts", '{"phone":"+441234567890","slackId":"U012"}', ": ROW_INVALID"],
    ["a request id", '{"requestId":"00000000-0000-4000-8000-000000000001"}', "request_id: REQUEST_ID_NOT_ALLOWED"],
    ["brackets within brackets", "[".repeat(100_000) + "]".repeat(100_000), ": ROW_INVALID"],
    ["brackets where a text should be", `{"email":${"[".repeat(1e5)}${"]".repeat(1e5)}}`, "email: JSON_INVALID"],
    ["objects within objects", `{"profile":${'{"a":'.repeat(4e4)}1${"}".repeat(4e4)}}`, "profile: JSON_INVALID"],
    ["half of a character", '{"name":"\\ud800"}', "name: JSON_INVALID"],
    ["half of a character in a label", '{"tags":["\\udc00x"]}', "tags: JSON_INVALID"],
    ["half of a character in a contact", '{"phone":"\\ud800"}', "phone: JSON_INVALID"],
    ["half of a character in the profile", '{"profile":{"bio":"\\ud800"}}', "profile.bio: JSON_INVALID"],
    ["half of a character in a fact", '{"metadata":{"x":"\\ud800"}}', "metadata: JSON_INVALID"],
    ["half of a character in a key", '{"metadata":{"\\udc00":"x"}}', "metadata: JSON_INVALID"],
  ])("may have a row with %s, which is told of that row alone", async (_what, row, fault) => {
    expect(await readNdjson(`${row}\n${ADA}`)).toEqual([
      [1, fault],
      [2, request({ email: "ada@example.com", name: "Ada" })],
    ]);
  });

  it("cannot have a row beyond all bounds", async () => {
    const fault = `file: ROW_TOO_LARGE: must have rows of at most ${MAX_ROW_BYTES} bytes, as the one on line 2 is not`;
    const row = "x".repeat(MAX_ROW_BYTES);
    expect(await readNdjson(`${ADA}\n${row}\n`)).toHaveLength(2);
    for (const bytes of [1000, undefined]) expect(await faultOf(readNdjson(`${ADA}\n${row}x\n`, bytes))).toBe(fault);
    expect(await faultOf(readNdjson(`${ADA}\n${row}x`))).toBe(fault);
  });
});
