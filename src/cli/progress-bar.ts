import type { Output } from "./terminal.ts";

/** How far something is. */
export interface Progress {
  readonly done: number;
  readonly total: number;
}

/** Pictures take time, and nobody sees more. */
const REDRAW_MS = 100;
/** Where no picture can be drawn again, a line is written so often. */
const LINE_MS = 5000;
const MAX_WIDTH = 30;
const UNITS = ["B", "KiB", "MiB", "GiB"] as const;

/**
 * Shows how far something is, how fast it goes, and how long it takes yet: as a bar on a terminal, and elsewhere as a
 * line now and then.
 */
export class ProgressBar implements Disposable {
  readonly #output: Output;
  readonly #now: () => number;
  #startedAt: number | undefined;
  #startedWith = 0;
  #last = 0;
  #shownAt = Number.NEGATIVE_INFINITY;
  #drawn = false;

  constructor(output: Output, now: () => number = () => performance.now()) {
    this.#output = output;
    this.#now = now;
  }

  /** Shows it, unless that was done a moment ago. */
  show({ done, total }: Progress): void {
    const now = this.#now();
    // What goes back has begun anew, at a rate of its own.
    if (this.#startedAt === undefined || done < this.#last) {
      this.#startedAt = now;
      this.#startedWith = done;
    }
    this.#last = done;
    const isTerminal = this.#output.isTTY === true;
    if (now - this.#shownAt < (isTerminal ? REDRAW_MS : LINE_MS) && done < total) return;
    this.#shownAt = now;
    const rate = ((done - this.#startedWith) / Math.max(now - this.#startedAt, 1)) * 1000;
    const left = rate > 0 && done < total ? `, ${formatSeconds((total - done) / rate)} left` : "";
    const percent = `${String(total === 0 ? 100 : Math.floor((done / total) * 100)).padStart(3)} %`;
    const text = `${percent}  ${formatBytes(done)} of ${formatBytes(total)}, ${formatBytes(rate)}/s${left}`;
    this.note(isTerminal ? `${this.#bar(done, total, text.length)} ${text}` : text);
  }

  /** Shows a text in its place. */
  note(text: string): void {
    this.#output.write(this.#output.isTTY === true ? `\r\u001b[K${text}` : `${text}\n`);
    this.#drawn = true;
  }

  /** Takes the bar away. Lines stay. */
  [Symbol.dispose](): void {
    if (this.#drawn && this.#output.isTTY === true) this.#output.write("\r\u001b[K");
    this.#drawn = false;
  }

  #bar(done: number, total: number, textWidth: number): string {
    const width = Math.max(0, Math.min(MAX_WIDTH, (this.#output.columns ?? 80) - textWidth - 4));
    const full = total === 0 ? width : Math.floor((done / total) * width);
    return `[${"#".repeat(full)}${"-".repeat(width - full)}]`;
  }
}

function formatBytes(bytes: number): string {
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), UNITS.length - 1);
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${UNITS[power]}`;
}

function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
