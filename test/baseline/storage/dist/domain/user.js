import { isDeepStrictEqual } from "node:util";
import { parseEmail } from "./email.js";
import { InvalidInputError } from "./errors.js";
export const BLANK_USER = {
    email: "",
    name: "",
    role: "user",
    status: "active",
    username: undefined,
    age: undefined,
    tags: [],
    metadata: [],
    contact: undefined,
    profile: undefined,
};
export function draftUser(fields) {
    const violations = [];
    const email = parseEmail(fields.email);
    if (email === undefined) {
        violations.push({ field: "email", reason: "EMAIL_INVALID", description: "must be an e-mail address" });
    }
    if (fields.name.trim() === "") {
        violations.push({ field: "name", reason: "NAME_BLANK", description: "must not be only white space" });
    }
    else if (/\p{Cc}/u.test(fields.name)) {
        const description = "must not contain control characters";
        violations.push({ field: "name", reason: "NAME_CONTROL_CHARACTER", description });
    }
    if (email === undefined || violations.length > 0)
        throw new InvalidInputError(violations);
    const { name, role, status, username, age, tags, metadata, contact, profile } = fields;
    const emailKey = email.normalized;
    const usernameKey = username?.toLowerCase();
    return {
        emailKey,
        usernameKey,
        email: email.given,
        name,
        role,
        status,
        username,
        age,
        tags,
        metadata,
        contact,
        profile,
    };
}
export function fieldsOf(user) {
    const { email, name, role, status, username, age, tags, metadata, contact, profile } = user;
    return { email, name, role, status, username, age, tags, metadata, contact, profile };
}
export function toUser(draft, record) {
    const { id, createdAt, updatedAt, version } = record;
    const { email, name, role, status, username, age, tags, metadata, contact, profile } = draft;
    return {
        id,
        email,
        name,
        createdAt,
        role,
        updatedAt,
        version,
        username,
        age,
        status,
        tags,
        metadata,
        contact,
        profile,
    };
}
export function toChangedUser({ id, createdAt, updatedAt, version }, draft) {
    return toUser(draft, { id, createdAt, updatedAt: Math.max(Date.now(), updatedAt), version: version + 1 });
}
export function haveSameFields(one, other) {
    return isDeepStrictEqual(fieldsOf(one), fieldsOf(other));
}
