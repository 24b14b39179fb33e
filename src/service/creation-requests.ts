import { fieldsOf, type UserDraft } from "../domain/user.ts";
import type { CreationRequest } from "../repository/user-repository.ts";
import { createMac, type KeySource, type Mac } from "./mac.ts";

/** Makes of a request id and what it is to create the request that a repository knows again. */
export class CreationRequests {
  readonly #macOf: Mac;

  /** Without `key`, no fingerprint tells whether a guessed content is the true one. */
  constructor(key: KeySource) {
    this.#macOf = createMac(key, "creation request 1");
  }

  /** The request that a caller gave this id. */
  of(caller: string, requestId: string, draft: UserDraft): CreationRequest {
    const id = requestId.toLowerCase();
    // With caller and id, so that it does not show that two requests have the same content.
    const fingerprint = this.#macOf(JSON.stringify([caller, id, fieldsOf(draft)])).toString("base64url");
    return { caller, id, fingerprint };
  }
}
