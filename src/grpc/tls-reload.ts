import {
  readTlsFiles,
  sameContents,
  type TlsContents,
  type TlsFault,
  type TlsFiles,
  TlsFilesError,
  type TlsIdentity,
  toTlsIdentity,
} from "./tls-files.ts";

/**
 * Milliseconds between two looks at the files, unless told. Kubernetes itself takes up to a minute to bring new ones.
 */
const LOOK_MS = 5000;

/** Is told what becomes of the files. */
export interface TlsReloadEvents {
  /** The files hold another identity, which is good. */
  onReplaced(identity: TlsIdentity): void;
  /** The files hold none that is good, so the last one stays. Told once, until something else is wrong. */
  onRefused(faults: readonly TlsFault[]): void;
}

/**
 * Looks at the files of a TLS identity every few seconds, and tells when they hold another.
 *
 * Files are taken when they read the same at two looks: of what is being written, the part that is there may pass for
 * the whole. They are read, not watched, because an event comes for the link, the folder or the file, depending on
 * how they are replaced, and on a network file system not at all.
 */
export class TlsReload {
  readonly #files: TlsFiles;
  readonly #events: TlsReloadEvents;
  readonly #timer: NodeJS.Timeout;
  #served: TlsContents;
  #seen: TlsContents;
  #refused = "";
  #looking = false;
  #stopped = false;

  /** Looks every `lookMs` milliseconds, until it is stopped. The process may end all the same. */
  constructor(files: TlsFiles, served: TlsIdentity, events: TlsReloadEvents, lookMs = LOOK_MS) {
    this.#files = files;
    this.#events = events;
    this.#served = served.contents;
    this.#seen = served.contents;
    this.#timer = setInterval(() => void this.look(), lookMs).unref();
  }

  /** Looks no more, and tells nothing more. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  /** Looks now. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const contents = await readTlsFiles(this.#files);
    this.#looking = false;
    if (!this.#stopped) this.#consider(contents);
  }

  #consider(contents: TlsContents): void {
    const settled = sameContents(contents, this.#seen);
    this.#seen = contents;
    if (sameContents(contents, this.#served)) this.#refused = "";
    else if (settled) this.#take(contents);
  }

  #take(contents: TlsContents): void {
    let identity: TlsIdentity;
    try {
      identity = toTlsIdentity(contents);
    } catch (error) {
      if (!(error instanceof TlsFilesError)) throw error;
      if (error.message !== this.#refused) this.#events.onRefused(error.faults);
      this.#refused = error.message;
      return;
    }
    this.#served = contents;
    this.#refused = "";
    this.#events.onReplaced(identity);
  }
}
