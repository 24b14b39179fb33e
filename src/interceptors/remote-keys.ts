import { type CryptoKey, errors, type JWK, type JWSHeaderParameters } from "jose";
import { TokenKeysUnavailableError } from "../grpc/errors.ts";
import { fetchKeys } from "./fetch-keys.ts";
import { type FindKey, findKeyIn, PUBLIC_KEY_ALGORITHMS } from "./public-keys.ts";
import type { TokenKeys } from "./token-keys.ts";

/** Is told what becomes of keys that are fetched. Must not throw. */
export interface KeyReports {
  /** They were fetched: for the first time, or again after they could not be. */
  onFound(): void;
  /** They could not be fetched. What was fetched before goes on being used. */
  onLost(cause: unknown): void;
}

/** After which the keys are fetched again: so long does a key that the issuer has withdrawn go on being believed. */
const MAX_AGE_MS = 5 * 60_000;
/** How long before that they are fetched aside, so that no call waits for an issuer that is slow. */
const AHEAD_MS = 60_000;
/**
 * The least time from one fetch to another that an unknown key asks for: anybody can make up tokens with unknown keys.
 */
const COOLDOWN_MS = 30_000;
/** The least time from a fetch that has failed to the next. */
const RETRY_MS = 5000;

/**
 * The keys of an issuer that publishes them as a JWKS, and replaces them as it likes.
 *
 * A token with an unknown key makes them be fetched again, but not within 30 s of the last time; calls that need the
 * same fetch share it. While they cannot be fetched, known keys go on being used whatever their age, and nobody can say
 * whether a token with an unknown key is good.
 */
export class RemoteKeys implements TokenKeys {
  readonly algorithms = PUBLIC_KEY_ALGORITHMS;
  readonly #fetch: () => Promise<readonly JWK[]>;
  readonly #reports: KeyReports;
  #find: FindKey | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  /** Whether the last fetch failed. */
  #lost = false;
  #pending: Promise<void> | undefined;

  constructor(fetch: () => Promise<readonly JWK[]>, reports: KeyReports) {
    this.#fetch = fetch;
    this.#reports = reports;
  }

  /** The keys at a URL. Begins to fetch them now, so that the first call seldom has to wait. */
  static at(url: URL, reports: KeyReports): RemoteKeys {
    const keys = new RemoteKeys(() => fetchKeys(url), reports);
    void keys.#refresh();
    return keys;
  }

  readonly find = async (header: JWSHeaderParameters): Promise<CryptoKey> => {
    if (!this.#isFresh()) {
      const refreshed = this.#refresh();
      // Nobody who can do without waits for an issuer that is known to be away.
      if (this.#find === undefined || !this.#lost) await refreshed;
    } else if (this.#freshForMs() < AHEAD_MS) {
      void this.#refresh();
    }
    if (this.#find === undefined) throw unavailable();
    try {
      return await this.#find(header);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.#refresh();
      if (this.#lost) throw unavailable();
      return this.#find(header);
    }
  };

  trustedForMs(): number {
    return this.#isFresh() ? this.#freshForMs() : RETRY_MS;
  }

  #isFresh(): boolean {
    return this.#freshForMs() > 0;
  }

  #freshForMs(): number {
    return this.#fetchedAt + MAX_AGE_MS - performance.now();
  }

  /** Fetches the keys, unless that was tried just now. Resolves also if they cannot be fetched. */
  async #refresh(): Promise<void> {
    const pause = this.#lost ? RETRY_MS : COOLDOWN_MS;
    if (this.#pending === undefined && performance.now() - this.#triedAt < pause) return;
    this.#pending ??= this.#load().finally(() => {
      this.#pending = undefined;
    });
    await this.#pending;
  }

  async #load(): Promise<void> {
    try {
      this.#find = findKeyIn(await this.#fetch());
      this.#fetchedAt = performance.now();
      if (this.#lost || this.#triedAt === Number.NEGATIVE_INFINITY) this.#reports.onFound();
      this.#lost = false;
    } catch (error) {
      this.#lost = true;
      this.#reports.onLost(error);
    } finally {
      this.#triedAt = performance.now();
    }
  }
}

function unavailable(): TokenKeysUnavailableError {
  return new TokenKeysUnavailableError(RETRY_MS);
}
