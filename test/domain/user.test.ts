import { describe, expect, it } from "vitest";
import { InvalidInputError } from "../../src/domain/errors.ts";
import { BLANK_USER, draftUser, fieldsOf, haveSameFields, type UserFields } from "../../src/domain/user.ts";

function faultOf(fields: { email: string; name: string }): InvalidInputError {
  try {
    draftUser({ ...BLANK_USER, ...fields });
  } catch (error) {
    if (error instanceof InvalidInputError) return error;
    throw error;
  }
  return expect.fail("the fields were accepted");
}

const EMAIL_INVALID = { field: "email", reason: "EMAIL_INVALID", description: "must be an e-mail address" };
const NAME_BLANK = { field: "name", reason: "NAME_BLANK", description: "must not be only white space" };
const NAME_CONTROL_CHARACTER = {
  field: "name",
  reason: "NAME_CONTROL_CHARACTER",
  description: "must not contain control characters",
};

describe("draftUser", () => {
  it("drafts a user with the fields as they were given, and with keys", () => {
    const fields = { ...BLANK_USER, email: " Ada@Example.com", name: " Ada  Lovelace ", username: "Ada.L" };
    expect(draftUser(fields)).toEqual({ ...fields, emailKey: "ada@example.com", usernameKey: "ada.l" });
  });

  it("takes nothing but a user's fields from what it is given", () => {
    const fields = { ...BLANK_USER, email: "ada@example.com", name: "Ada" };
    const more = { ...fields, id: "chosen", version: 7 };
    expect(draftUser(more)).toEqual({ ...fields, emailKey: "ada@example.com", usernameKey: undefined });
  });

  it("fails when the e-mail address is none", () => {
    expect(faultOf({ email: "ada", name: "Ada" }).violations).toEqual([EMAIL_INVALID]);
  });

  it.each(["", " ", "\t\r\n", "\u00a0\u2003\u3000"])("fails when the name is %j", (name) => {
    expect(faultOf({ email: "ada@example.com", name }).violations).toEqual([NAME_BLANK]);
  });

  it.each(["\u0000", "Ada\u0000", "Ada\nLovelace", "Ada\t", "\u001b[31mAda", "Ada\u007f", "Ada\u0085"])(
    "fails when the name has a control character: %j",
    (name) => {
      expect(faultOf({ email: "ada@example.com", name }).violations).toEqual([NAME_CONTROL_CHARACTER]);
    },
  );

  it.each(["\u202e", "👩\u200d🚀", "e\u0301"])("takes the name %j, odd as it is", (name) => {
    expect(draftUser({ ...BLANK_USER, email: "ada@example.com", name }).name).toBe(name);
  });

  it("names every field that is wrong", () => {
    expect(faultOf({ email: "", name: "" }).violations).toEqual([EMAIL_INVALID, NAME_BLANK]);
  });

  it("never repeats the value", () => {
    const { message, violations } = faultOf({ email: "secret address", name: " " });
    expect(message + JSON.stringify(violations)).not.toContain("secret");
  });

  it("fails for a message of a stream with its index", () => {
    const { violations } = faultOf({ email: "", name: "" }).in("messages[6]");
    expect(violations).toEqual([
      { ...EMAIL_INVALID, field: "messages[6].email" },
      { ...NAME_BLANK, field: "messages[6].name" },
    ]);
  });
});

/** A user of whom everything is said. */
const ADA: UserFields = {
  email: "ada@example.com",
  name: "Ada",
  role: "admin",
  status: "suspended",
  username: "ada",
  age: 36,
  tags: ["b", "a"],
  metadata: [
    ["a", "1"],
    ["b", "2"],
  ],
  contact: { kind: "phone", value: "+441234567" },
  profile: { bio: "Poetical science", avatarUrl: "https://example.com/ada.png" },
};

describe("fieldsOf", () => {
  it("takes all that somebody can write", () => {
    expect(fieldsOf(ADA)).toEqual(ADA);
    expect(new Set(Object.keys(fieldsOf(ADA)))).toEqual(new Set(Object.keys(BLANK_USER)));
  });

  it("takes nothing else", () => {
    const user = { ...ADA, id: "x", createdAt: 1, updatedAt: 2, version: 3, emailKey: "ada@example.com" };
    expect(fieldsOf(user)).toEqual(ADA);
  });
});

describe("haveSameFields", () => {
  it("is true for the same fields, whichever objects hold them, and whatever else there is", () => {
    const user = { ...structuredClone(ADA), id: "x", createdAt: 1, updatedAt: 2, version: 3 };
    expect(haveSameFields(ADA, user)).toBe(true);
    expect(haveSameFields(user, ADA)).toBe(true);
  });

  it("takes a field that is absent for one that is undefined", () => {
    const { username, age, contact, profile, ...rest } = { ...BLANK_USER, email: "ada@example.com" };
    expect(haveSameFields(rest as UserFields, { ...rest, username, age, contact, profile })).toBe(true);
  });

  it.each<Partial<UserFields>>([
    { email: "ADA@example.com" },
    { name: "ada" },
    { role: "user" },
    { status: "active" },
    { username: "Ada" },
    { username: undefined },
    { age: 0 },
    { age: undefined },
    { tags: ["a", "b"] },
    { tags: ["b"] },
    { tags: [] },
    { metadata: [["a", "1"]] },
    {
      metadata: [
        ["a", "1"],
        ["b", "3"],
      ],
    },
    { contact: { kind: "slackId", value: "+441234567" } },
    { contact: { kind: "phone", value: "+441234568" } },
    { contact: undefined },
    { profile: { bio: "Poetical science", avatarUrl: "" } },
    { profile: undefined },
  ])("is false if another has %j", (fields) => {
    expect(haveSameFields(ADA, { ...ADA, ...fields })).toBe(false);
  });

  it("tells an age of zero from none", () => {
    expect(haveSameFields({ ...BLANK_USER, age: 0 }, BLANK_USER)).toBe(false);
  });
});
