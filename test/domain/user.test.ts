import { describe, expect, it } from "vitest";
import { InvalidInputError } from "../../src/domain/errors.ts";
import { draftUser } from "../../src/domain/user.ts";

function faultOf(fields: { email: string; name: string }): InvalidInputError {
  try {
    draftUser(fields);
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
  it("drafts a user in the role of a user, with the fields as they were given", () => {
    expect(draftUser({ email: " Ada@Example.com", name: " Ada  Lovelace " })).toEqual({
      email: { given: " Ada@Example.com", normalized: "ada@example.com" },
      name: " Ada  Lovelace ",
      role: "user",
    });
  });

  it("takes nothing but the e-mail address and the name from what it is given", () => {
    const fields = { email: "ada@example.com", name: "Ada", role: "admin", id: "chosen" };
    expect(draftUser(fields)).toEqual({
      email: { given: "ada@example.com", normalized: "ada@example.com" },
      name: "Ada",
      role: "user",
    });
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
    expect(draftUser({ email: "ada@example.com", name }).name).toBe(name);
  });

  it("names every field that is wrong", () => {
    expect(faultOf({ email: "", name: "" }).violations).toEqual([EMAIL_INVALID, NAME_BLANK]);
  });

  it("never repeats the value", () => {
    const { message, violations } = faultOf({ email: "secret address", name: " " });
    expect(message + JSON.stringify(violations)).not.toContain("secret");
  });

  it("fails for a message of a stream with its index", () => {
    const { violations } = faultOf({ email: "", name: "" }).inMessage(6);
    expect(violations).toEqual([
      { ...EMAIL_INVALID, field: "messages[6].email" },
      { ...NAME_BLANK, field: "messages[6].name" },
    ]);
  });
});
