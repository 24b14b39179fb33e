import { UploadIdReusedError } from "../../domain/errors.ts";
import { requestKey } from "../creation-plan.ts";
import { EMPTY_REPORT, joinReports, planImports, withoutRepetition } from "../import-plan.ts";
import {
  type ImportReport,
  type ImportRow,
  type Imports,
  rowCountOf,
  UPLOAD_LIFETIME_MS,
  type Upload,
} from "../imports.ts";
import type { Cancellable } from "../scope.ts";
import type { MemoryUserRepository } from "./user-repository.ts";

/** What is kept of an upload. */
interface KeptUpload {
  readonly fingerprint: string;
  readonly report: ImportReport;
  readonly expiresAtMs: number;
}

/** Imports files into the users of this process. No method waits, so none can be interrupted. */
export class MemoryImports implements Imports {
  readonly #users: MemoryUserRepository;
  /** In the order of the last change, which is that of expiry unless the clock is set. */
  readonly #uploads = new Map<string, KeptUpload>();

  constructor(users: MemoryUserRepository) {
    this.#users = users;
  }

  async begin(upload: Upload, scope: Cancellable): Promise<ImportReport> {
    scope.signal.throwIfAborted();
    const known = this.#find(upload);
    if (known === undefined) this.#keep(upload, EMPTY_REPORT);
    return known?.report ?? EMPTY_REPORT;
  }

  async apply(upload: Upload, firstRow: number, rows: readonly ImportRow[], scope: Cancellable): Promise<ImportReport> {
    scope.signal.throwIfAborted();
    // Not by #find: an upload that has begun goes on, though it expire meanwhile.
    const known = this.#uploads.get(requestKey(upload));
    if (known === undefined) throw new Error("the upload has not begun");
    if (known.fingerprint !== upload.fingerprint) throw new UploadIdReusedError();
    if (rowCountOf(known.report) !== firstRow) return known.report;

    const { creations, changes, report } = planImports(withoutRepetition(rows), this.#users);
    // These take effect before they return, so that nobody comes between them.
    const writes = [
      ...changes.map(({ user, draft }) => this.#users.update(user.id, () => draft, scope)),
      this.#users.create(creations, scope),
    ];
    const joined = joinReports(known.report, report);
    this.#keep(upload, joined);
    await Promise.all(writes);
    return joined;
  }

  #find(upload: Upload): KeptUpload | undefined {
    const known = this.#uploads.get(requestKey(upload));
    if (known === undefined || known.expiresAtMs <= Date.now()) return undefined;
    if (known.fingerprint !== upload.fingerprint) throw new UploadIdReusedError();
    return known;
  }

  /** Keeps what has become of an upload, and forgets those that have expired. */
  #keep(upload: Upload, report: ImportReport): void {
    const now = Date.now();
    for (const [key, { expiresAtMs }] of this.#uploads) {
      if (expiresAtMs > now) break;
      this.#uploads.delete(key);
    }
    this.#uploads.delete(requestKey(upload));
    const { fingerprint } = upload;
    this.#uploads.set(requestKey(upload), { fingerprint, report, expiresAtMs: now + UPLOAD_LIFETIME_MS });
  }
}
