import { TakenError } from "../domain/errors.js";
export class Claims {
    #emailKeys;
    #usernameKeys;
    #claimedEmailKeys = [];
    #claimedUsernameKeys = [];
    constructor(emailKeys, usernameKeys) {
        this.#emailKeys = emailKeys;
        this.#usernameKeys = usernameKeys;
    }
    claim({ emailKey, usernameKey }, index) {
        if (!add(this.#emailKeys, emailKey))
            throw new TakenError("email", index);
        this.#claimedEmailKeys.push(emailKey);
        if (usernameKey === undefined)
            return;
        if (!add(this.#usernameKeys, usernameKey))
            throw new TakenError("username", index);
        this.#claimedUsernameKeys.push(usernameKey);
    }
    release() {
        for (const key of this.#claimedEmailKeys)
            this.#emailKeys.delete(key);
        for (const key of this.#claimedUsernameKeys)
            this.#usernameKeys.delete(key);
    }
}
function add(keys, key) {
    const before = keys.size;
    return keys.add(key).size > before;
}
