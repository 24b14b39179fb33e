import { describe, expect, it } from "vitest";
import { UserRole, UserStatus } from "../../../src/gen/user/v1/user_pb.ts";
import { MAX_ROW_BYTES } from "../../../src/service/upload/file-row.ts";
import { faultOf, readCsv, request } from "./rows.ts";

const ADA = request({ email: "ada@example.com", name: "Ada" });
const BOB = request({ email: "bob@example.com", name: "Bob" });

/** Names of columns that objects have without anybody's doing, and other names that are none. */
const UNKNOWN_COLUMNS = [
  "nickname",
  "Email",
  " email",
  "",
  "__proto__",
  "constructor",
  "toString",
  "metadata",
  "metadata.",
  "metadata.__proto__",
  "metadata.a b",
  `metadata.${"k".repeat(65)}`,
  "request_id",
  "id",
];

describe("a CSV file", () => {
  it("has a row for each line behind the first, which is no row", async () => {
    expect(await readCsv("email,name\nada@example.com,Ada\nbob@example.com,Bob\n")).toEqual([
      [2, ADA],
      [3, BOB],
    ]);
  });

  it.each([
    ["no line break at the end", "email,name\nada@example.com,Ada\nbob@example.com,Bob", [2, 3]],
    ["line breaks of two characters", "email,name\r\nada@example.com,Ada\r\nbob@example.com,Bob\r\n", [2, 3]],
    ["line breaks of both kinds", "email,name\r\nada@example.com,Ada\nbob@example.com,Bob\r\n", [2, 3]],
    ["a byte order mark", "\ufeffemail,name\nada@example.com,Ada\nbob@example.com,Bob\n", [2, 3]],
    ["blank lines", "email,name\n\n\r\nada@example.com,Ada\n\nbob@example.com,Bob\n\n\n", [4, 6]],
    ["columns in another order", "name,email\nAda,ada@example.com\nBob,bob@example.com", [2, 3]],
    ["quotes", '"email","name"\n"ada@example.com","Ada"\nbob@example.com,"Bob"\n', [2, 3]],
  ])("may have %s, and is read in any pieces", async (_what, file, lines) => {
    const expected = [ADA, BOB].map((content, index) => [lines[index], content]);
    for (let bytes = 1; bytes <= 20; bytes++) expect(await readCsv(file, bytes), `${bytes} bytes`).toEqual(expected);
    expect(await readCsv(file)).toEqual(expected);
  });

  it("has rows that go over several lines, after which the lines are counted right", async () => {
    const file = 'email,name,bio\na@b,A,"one\ntwo\r\n""three"", four"\r\nc@d,C,\n"e@f",E,"\r\n\r\n"\ng@h,G,\n';
    const expected = [
      [2, request({ email: "a@b", name: "A", profile: { bio: 'one\ntwo\r\n"three", four' } })],
      [5, request({ email: "c@d", name: "C" })],
      [6, request({ email: "e@f", name: "E", profile: { bio: "\r\n\r\n" } })],
      [9, request({ email: "g@h", name: "G" })],
    ];
    for (let bytes = 1; bytes <= 20; bytes++) expect(await readCsv(file, bytes)).toEqual(expected);
  });

  it("may have all columns of the contract", async () => {
    const columns = "email,name,username,age,role,status,tags,phone,bio,avatar_url,metadata.team,metadata.cost.centre";
    const row = "a@b,A,ada,36,USER_ROLE_ADMIN,USER_STATUS_SUSPENDED,x;y z,+441234567890,b,http://a,engine,7";
    expect(await readCsv(`${columns}\n${row}`)).toEqual([
      [
        2,
        request({
          email: "a@b",
          name: "A",
          username: "ada",
          age: 36,
          role: UserRole.ADMIN,
          status: UserStatus.SUSPENDED,
          tags: ["x", "y z"],
          contact: { case: "phone", value: "+441234567890" },
          profile: { bio: "b", avatarUrl: "http://a" },
          metadata: { team: "engine", "cost.centre": "7" },
        }),
      ],
    ]);
  });

  it("says nothing by an empty field", async () => {
    const columns = "email,name,username,age,role,status,tags,phone,slack_id,bio,avatar_url,metadata.team";
    expect(await readCsv(`${columns}\na@b,A,,,,,,,,,,`)).toEqual([[2, request({ email: "a@b", name: "A" })]]);
    expect(await readCsv(`email,name,phone,slack_id\na@b,A,,U012`)).toEqual([
      [2, request({ email: "a@b", name: "A", contact: { case: "slackId", value: "U012" } })],
    ]);
  });

  it.each([
    ["ADMIN", UserRole.ADMIN],
    ["admin", UserRole.ADMIN],
    ["user_role_user", UserRole.USER],
  ])("may write a role as %s", async (text, role) => {
    expect(await readCsv(`email,name,role\na@b,A,${text}`)).toEqual([[2, request({ email: "a@b", name: "A", role })]]);
  });

  it.each([
    ["too few fields", "a@b,A", ": FIELD_COUNT"],
    ["too many fields", "a@b,A,,,,,", ": FIELD_COUNT"],
    ["an age that is no number", "a@b,A,ten,,,", "age: NUMBER_INVALID"],
    ["an age that is not whole", "a@b,A,1.5,,,", "age: NUMBER_INVALID"],
    ["a role that does not exist", "a@b,A,,owner,,", "role: ENUM_DEFINED_ONLY"],
    ["a role that is a number", "a@b,A,,2,,", "role: ENUM_DEFINED_ONLY"],
    ["a role that every object has", "a@b,A,,__proto__,,", "role: ENUM_DEFINED_ONLY"],
    ["two contacts", "a@b,A,,,+441234567890,U012", "slack_id: CONTACT_REPEATED"],
  ])("may have a row with %s, which is told of that row alone", async (_what, row, fault) => {
    const file = `email,name,age,role,phone,slack_id\n${row}\na@b,A,,,,\n`;
    expect(await readCsv(file)).toEqual([
      [2, fault],
      [3, request({ email: "a@b", name: "A" })],
    ]);
  });

  it.each(UNKNOWN_COLUMNS)("cannot have a column %j", async (name) => {
    expect(await faultOf(readCsv(`email,name,"${name}"\na@b,A,x\n`))).toBe(
      "file: COLUMN_UNKNOWN: must name known columns only, as column 3 is not: line 1",
    );
  });

  it.each([
    [
      "a column twice",
      "email,name,email\n",
      "COLUMN_REPEATED: must name each column once, but column 3 is named before: line 1",
    ],
    ["no column for the name", "email,bio\n", "COLUMN_MISSING: must name the column name: line 1"],
    ["no column for the address", "name\n", "COLUMN_MISSING: must name the column email: line 1"],
    ["nothing in it", "", "COLUMN_MISSING: must name the column email: line 1"],
    ["blank lines alone", "\n\n", "COLUMN_MISSING: must name the column email: line 1"],
  ])("cannot have %s", async (_what, file, fault) => {
    expect(await faultOf(readCsv(file))).toBe(`file: ${fault}`);
  });

  it.each([
    ["a quote that is never closed", '"B\nC,d@e\n', "a quote that is never closed in the row on line 5"],
    [
      "text behind a quote",
      '"B"x\n',
      "something between a closing quote and the comma or the end of the line in the row on line 5, column 2",
    ],
    [
      "a quote within a field",
      'B"C\n',
      "a quote in a field that does not begin with one in the row on line 5, column 2",
    ],
  ])("cannot have %s, wherever it is", async (_what, fields, fault) => {
    const file = `email,name\na@b,"A\r\nA"\na@b,A\nc@d,${fields}`;
    for (const bytes of [1, 7, undefined]) {
      expect(await faultOf(readCsv(file, bytes))).toMatch(
        `file: CSV_INVALID: must be CSV (RFC 4180), but has ${fault}`,
      );
    }
  });

  it("cannot have a row beyond all bounds", async () => {
    const start = `email,name,bio\na@b,A,x\nc@d,C,"`;
    const fault = `file: ROW_TOO_LARGE: must have rows of at most ${MAX_ROW_BYTES} bytes, as the one on line 3 is not`;
    expect(await faultOf(readCsv(start + "line\n".repeat(MAX_ROW_BYTES / 4)))).toBe(fault);
    expect(await readCsv(`${start}${"b".repeat(MAX_ROW_BYTES / 2)}"`)).toHaveLength(2);
  });
});
