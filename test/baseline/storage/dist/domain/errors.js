export class InvalidInputError extends Error {
    name = "InvalidInputError";
    violations;
    constructor(violations) {
        super("invalid input");
        this.violations = violations;
    }
    in(part) {
        return new InvalidInputError(this.violations.map((violation) => ({ ...violation, field: `${part}.${violation.field}` })));
    }
}
export class UserNotFoundError extends Error {
    name = "UserNotFoundError";
    id;
    constructor(id) {
        super("no such user");
        this.id = id;
    }
}
export class TakenError extends Error {
    name = "TakenError";
    field;
    index;
    part;
    constructor(field, index, part = index === undefined ? undefined : `messages[${index}]`) {
        super(field === "email" ? "the e-mail address is taken" : "the username is taken");
        this.field = field;
        this.index = index;
        this.part = part;
    }
    in(part) {
        return new TakenError(this.field, undefined, part);
    }
}
export class RequestIdReusedError extends Error {
    name = "RequestIdReusedError";
    index;
    constructor(index) {
        super("must not be the id of an earlier request with other content");
        this.index = index;
    }
}
export class UsersTooLargeError extends Error {
    name = "UsersTooLargeError";
    limitBytes;
    constructor(limitBytes) {
        super("too much data in one call");
        this.limitBytes = limitBytes;
    }
}
export class ResponseTooLargeError extends Error {
    name = "ResponseTooLargeError";
    constructor() {
        super("the users may not fit into one message; ask for fewer");
    }
}
export class EtagMismatchError extends Error {
    name = "EtagMismatchError";
    id;
    constructor(id) {
        super("the user has changed meanwhile");
        this.id = id;
    }
}
export class PermissionDeniedError extends Error {
    name = "PermissionDeniedError";
    constructor(requirement) {
        super(requirement);
    }
}
export class CallerSuspendedError extends Error {
    name = "CallerSuspendedError";
    constructor() {
        super("the caller is suspended");
    }
}
export class TooManyUsersError extends Error {
    name = "TooManyUsersError";
    limit;
    constructor(limit) {
        super("too many users in one call");
        this.limit = limit;
    }
}
export class StoreUnavailableError extends Error {
    name = "StoreUnavailableError";
    constructor(fact, cause) {
        super(fact, { cause });
    }
}
export class OutcomeUnknownError extends Error {
    name = "OutcomeUnknownError";
    constructor(cause) {
        super("nobody can say whether the change has happened", { cause });
    }
}
export class ChangesExpiredError extends Error {
    name = "ChangesExpiredError";
    constructor() {
        super("the changes are no longer kept");
    }
}
