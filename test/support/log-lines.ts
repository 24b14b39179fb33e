/** What the tests look at in a log line. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly method?: string;
  readonly code?: string;
  readonly duration_ms?: number;
  readonly request_id?: string;
  readonly trace_id?: string;
  readonly err?: { readonly type: string; readonly message: string; readonly stack: string };
}

/** Collects log lines, and lets a test wait for one. */
export class LogLines {
  readonly texts: string[] = [];
  readonly #waiting = new Set<() => void>();

  /** Called by the logger. Every line must be one JSON object. */
  write(text: string): void {
    this.texts.push(text);
    for (const wake of this.#waiting) wake();
  }

  get lines(): LogLine[] {
    return this.texts.map((text) => JSON.parse(text) as LogLine);
  }

  /** The lines of finished calls, of one method if it is named. */
  calls(method?: string): LogLine[] {
    return this.lines.filter(
      (line) => line.method !== undefined && (method === undefined || line.method.endsWith(method)),
    );
  }

  /** Waits until `count` lines with this message have been logged. */
  async waitFor(message: string, count = 1): Promise<LogLine[]> {
    return this.#wait(() => this.lines.filter(({ msg }) => msg === message), count);
  }

  /** Waits until `count` calls of a method have been logged, and returns their lines. */
  async waitForCalls(count: number, method?: string): Promise<LogLine[]> {
    return this.#wait(() => this.calls(method), count);
  }

  async #wait(find: () => LogLine[], count: number): Promise<LogLine[]> {
    for (;;) {
      const found = find();
      if (found.length >= count) return found;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      await promise;
      this.#waiting.delete(resolve);
    }
  }
}
