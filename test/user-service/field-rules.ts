import type { UserRole, UserStatus } from "../../src/gen/user/v1/user_pb.ts";

/** Fields that CreateUserRequest and User have in common. */
export interface CommonFields {
  readonly email?: string;
  readonly name?: string;
  readonly role?: UserRole;
  readonly username?: string;
  readonly age?: number;
  readonly status?: UserStatus;
  readonly tags?: string[];
  readonly metadata?: Record<string, string>;
  readonly contact?: { case: "phone" | "slackId"; value: string };
  readonly profile?: { bio?: string; avatarUrl?: string };
}

function phone(value: string): CommonFields {
  return { contact: { case: "phone", value } };
}

function slackId(value: string): CommonFields {
  return { contact: { case: "slackId", value } };
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `label${index}`);
}

/** Metadata with this one key, which may be one that an object literal does not take. */
function metadata(key: string, value = "value"): CommonFields {
  return { metadata: JSON.parse(`{${JSON.stringify(key)}:${JSON.stringify(value)}}`) as Record<string, string> };
}

/** What no user may have, the path from the user on, and the rule: `[what, fields, path, reason]`. */
export const BROKEN_RULES: readonly (readonly [what: string, fields: CommonFields, path: string, reason: string])[] = [
  ["an e-mail address above 320 bytes", { email: `${"a".repeat(320)}@b` }, "email", "STRING_MAX_BYTES"],
  ["what is no e-mail address", { email: "not an address" }, "email", "EMAIL_INVALID"],
  ["a name above 512 bytes", { name: "é".repeat(257) }, "name", "STRING_MAX_BYTES"],
  ["a name of white space", { name: " \u00a0 " }, "name", "NAME_BLANK"],
  ["a name with a control character", { name: "Ada\nLovelace" }, "name", "NAME_CONTROL_CHARACTER"],
  ["a role that does not exist", { role: 99 as UserRole }, "role", "ENUM_DEFINED_ONLY"],
  ["a username that starts with a dot", { username: ".ada" }, "username", "STRING_PATTERN"],
  ["a username with a space", { username: "ada l" }, "username", "STRING_PATTERN"],
  ["a username outside ASCII", { username: "adä" }, "username", "STRING_PATTERN"],
  ["a username of 33 letters", { username: "a".repeat(33) }, "username", "STRING_PATTERN"],
  ["an age below 0", { age: -1 }, "age", "INT32_GTE_LTE"],
  ["an age above 150", { age: 151 }, "age", "INT32_GTE_LTE"],
  ["a status that does not exist", { status: 99 as UserStatus }, "status", "ENUM_DEFINED_ONLY"],
  ["51 tags", { tags: numbered(51) }, "tags", "REPEATED_MAX_ITEMS"],
  ["a tag twice", { tags: ["one", "two", "one"] }, "tags", "REPEATED_UNIQUE"],
  ["an empty tag", { tags: ["one", ""] }, "tags[1]", "STRING_MIN_BYTES"],
  ["a tag above 64 bytes", { tags: ["é".repeat(33)] }, "tags[0]", "STRING_MAX_BYTES"],
  ["51 metadata", { metadata: Object.fromEntries(numbered(51).map((key) => [key, ""])) }, "metadata", "MAP_MAX_PAIRS"],
  ["an empty metadata key", metadata(""), 'metadata[""]', "STRING_PATTERN"],
  ["a metadata key with a space", metadata("a b"), 'metadata["a b"]', "STRING_PATTERN"],
  ["the metadata key __proto__", metadata("__proto__"), 'metadata["__proto__"]', "STRING_PATTERN"],
  ["a metadata key of 65 letters", metadata("a".repeat(65)), `metadata["${"a".repeat(65)}"]`, "STRING_PATTERN"],
  ["a metadata value above 512 bytes", metadata("key", "é".repeat(257)), 'metadata["key"]', "STRING_MAX_BYTES"],
  ["an empty phone number", phone(""), "phone", "STRING_PATTERN"],
  ["a phone number without a plus", phone("441234567890"), "phone", "STRING_PATTERN"],
  ["a phone number that starts with 0", phone("+0441234567"), "phone", "STRING_PATTERN"],
  ["a phone number of 6 digits", phone("+123456"), "phone", "STRING_PATTERN"],
  ["a phone number of 16 digits", phone("+1234567890123456"), "phone", "STRING_PATTERN"],
  ["a Slack id of a channel", slackId("C0123456"), "slack_id", "STRING_PATTERN"],
  ["a Slack id in lower case", slackId("U0abcdef"), "slack_id", "STRING_PATTERN"],
  ["a Slack id of 2 characters", slackId("U1"), "slack_id", "STRING_PATTERN"],
  ["a Slack id of 22 characters", slackId(`W${"1".repeat(21)}`), "slack_id", "STRING_PATTERN"],
  ["a bio with U+0000", { profile: { bio: "a\u0000" } }, "profile.bio", "STRING_NULL_CHARACTER"],
  ["a tag with U+0000", { tags: ["\u0000"] }, "tags[0]", "STRING_NULL_CHARACTER"],
  ["a fact with U+0000", { metadata: { key: "\u0000" } }, 'metadata["key"]', "STRING_NULL_CHARACTER"],
  ["a bio above 16384 bytes", { profile: { bio: "é".repeat(8193) } }, "profile.bio", "STRING_MAX_BYTES"],
  [
    "a picture above 2048 bytes",
    { profile: { avatarUrl: `https://example.com/${"a".repeat(2029)}` } },
    "profile.avatar_url",
    "STRING_MAX_BYTES",
  ],
  [
    "a picture that is neither http nor https",
    { profile: { avatarUrl: "ftp://example.com/a.png" } },
    "profile.avatar_url",
    "STRING_PATTERN",
  ],
  [
    "a picture whose address is no URI",
    { profile: { avatarUrl: "https://example.com/a b.png" } },
    "profile.avatar_url",
    "STRING_URI",
  ],
];

/** The most, and in another user the least, that the rules allow. */
export const LIMITS: readonly (readonly [what: string, fields: CommonFields & { email: string; name: string }])[] = [
  [
    "the most",
    {
      email: `${"l".repeat(64)}@${`${"d".repeat(62)}.`.repeat(4)}e`,
      name: "n".repeat(512),
      username: `9${"-".repeat(31)}`,
      age: 150,
      tags: Array.from({ length: 50 }, (_, index) => `tag${index}`.padEnd(64, "-")),
      metadata: Object.fromEntries(numbered(50).map((key) => [key.padEnd(64, "_"), "v".repeat(512)])),
      contact: { case: "phone", value: "+123456789012345" },
      profile: { bio: "b".repeat(16_384), avatarUrl: `http://example.com/${"a".repeat(2029)}` },
    },
  ],
  [
    "the least",
    {
      email: "a@b",
      name: "n",
      username: "a",
      age: 0,
      tags: ["t"],
      metadata: { k: "" },
      contact: { case: "slackId", value: "W12" },
      profile: { bio: "", avatarUrl: "http://a" },
    },
  ],
];
