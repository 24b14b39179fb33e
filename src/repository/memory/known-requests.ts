import { requestKey } from "../creation-plan.ts";
import { type CreationRequest, REQUEST_LIFETIME_MS } from "../user-repository.ts";

/** What is kept of a request. */
interface KeptRequest {
  readonly fingerprint: string;
  readonly userId: string;
  readonly expiresAtMs: number;
}

/** The requests that have created users, for as long as they are to be known again. */
export class KnownRequests {
  /** In the order of creation, which is that of expiry unless the clock is set. */
  readonly #requests = new Map<string, KeptRequest>();

  /** What is known of a request with this caller and id; undefined for a new one, and for one that has expired. */
  find(request: Pick<CreationRequest, "caller" | "id">): KeptRequest | undefined {
    const known = this.#requests.get(requestKey(request));
    return known !== undefined && known.expiresAtMs > Date.now() ? known : undefined;
  }

  /** Keeps a request, and forgets those that have expired. */
  add(request: CreationRequest, userId: string): void {
    const now = Date.now();
    for (const [key, { expiresAtMs }] of this.#requests) {
      if (expiresAtMs > now) break;
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
