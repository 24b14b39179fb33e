import { RequestIdReusedError, UserNotFoundError } from "../domain/errors.js";
export function planCreations(users, claims, find) {
    const requests = new Map();
    return users.map((user, index) => {
        const { request } = user;
        const known = request && find(request);
        if (known !== undefined)
            return { known: userOf(known, request, index) };
        const earlier = request && requests.get(requestKey(request));
        if (earlier !== undefined) {
            if (users[earlier]?.request?.fingerprint !== request?.fingerprint)
                throw new RequestIdReusedError(index);
            return { earlier };
        }
        claims.claim(user, index);
        if (request !== undefined)
            requests.set(requestKey(request), index);
        return { create: user };
    });
}
export function carryOut(plan, create) {
    const users = [];
    for (const step of plan) {
        if ("create" in step)
            users.push(create(step.create));
        else
            users.push("known" in step ? step.known : users[step.earlier]);
    }
    return users;
}
export function requestKey({ caller, id }) {
    return `${id} ${caller}`;
}
function userOf(known, request, index) {
    if (known.fingerprint !== request?.fingerprint)
        throw new RequestIdReusedError(index);
    if (known.user === undefined)
        throw new UserNotFoundError(known.userId);
    return known.user;
}
