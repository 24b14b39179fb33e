import { describe, expect, it } from "vitest";
import { BLANK_USER, type User } from "../../src/domain/user.ts";
import { etagOf, toPassingUserMessage, toUserMessage } from "../../src/service/user-message.ts";

/** A user of their own each time, because messages are kept by the user's identity. */
function newUser(fields: Partial<User> = {}): User {
  const profile = { bio: "Writes notes.", avatarUrl: "" };
  return { ...BLANK_USER, id: "ada", createdAt: 1, updatedAt: 2, version: 3, tags: ["first"], profile, ...fields };
}

describe("toUserMessage", () => {
  it("makes the same message every time, all of it frozen", () => {
    const user = newUser();
    const message = toUserMessage(user);
    expect(toUserMessage(user)).toBe(message);
    const parts = [message, message.tags, message.metadata, message.contact, message.profile, message.createdAt];
    expect(parts.filter((part) => !Object.isFrozen(part))).toEqual([]);
  });

  it("leaves the user as it is", () => {
    const user = newUser();
    toUserMessage(user);
    expect(Object.isFrozen(user.tags) || Object.isFrozen(user.profile)).toBe(false);
  });
});

describe("toPassingUserMessage", () => {
  it("makes an equal message, which nothing keeps", () => {
    const user = newUser();
    const passing = toPassingUserMessage(user);
    expect(Object.isFrozen(passing)).toBe(false);
    expect(toPassingUserMessage(user)).not.toBe(passing);
    expect(toUserMessage(user)).not.toBe(passing);
    expect(toUserMessage(user)).toEqual(passing);
  });

  it("takes the message that is kept already", () => {
    const user = newUser();
    expect(toPassingUserMessage(user)).not.toBe(toUserMessage(user));
    expect(toPassingUserMessage(user)).toBe(toUserMessage(user));
  });
});

describe("etagOf", () => {
  const user = { id: "018f0000-0000-7000-8000-00000000000a", version: 3 };

  it("is another for every version and for every user, in quotes as AIP-154 has it", () => {
    expect(etagOf(user)).toBe('"3-00000000000a"');
    expect(etagOf({ ...user, version: 4 })).toBe('"4-00000000000a"');
    expect(etagOf({ ...user, id: "018f0000-0000-7000-8000-00000000000b" })).toBe('"3-00000000000b"');
  });
});
