import { requestKey } from "./creation-plan.js";
import { REQUEST_LIFETIME_MS } from "./user-repository.js";
export class KnownRequests {
    #requests = new Map();
    find(request) {
        const known = this.#requests.get(requestKey(request));
        return known !== undefined && known.expiresAtMs > Date.now() ? known : undefined;
    }
    add(request, userId) {
        const now = Date.now();
        for (const [key, { expiresAtMs }] of this.#requests) {
            if (expiresAtMs > now)
                break;
            this.#requests.delete(key);
        }
        this.#requests.delete(requestKey(request));
        this.#requests.set(requestKey(request), {
            fingerprint: request.fingerprint,
            userId,
            expiresAtMs: now + REQUEST_LIFETIME_MS,
        });
    }
}
