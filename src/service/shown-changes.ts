import type { WatchUsersResponse } from "../gen/user/v1/watch_pb.ts";

/** Users who were read together: those up to an id, after the range before. */
interface Range {
  /** The id of the last; undefined for the end. */
  through: string | undefined;
  /** As of which they were read. */
  readonly revision: number;
}

/** The changes that a snapshot shows already, which others made while it was read page by page. */
export class ShownChanges {
  /** In the order of the ids, which is also that of the revisions. */
  readonly #ranges: Range[] = [];
  readonly #after: string;

  /** The snapshot begins after the user with this id. */
  constructor(after: string) {
    this.#after = after;
  }

  /** Notes that the next users, up to the one with the id `through` or to the end, were read as of a revision. */
  add(through: string | undefined, revision: number): void {
    const last = this.#ranges.at(-1);
    if (last?.revision === revision) last.through = through;
    else this.#ranges.push({ through, revision });
  }

  /**
   * Those of these changes that the snapshot does not show; the same array where it shows none. To be asked in their
   * order.
   */
  without(changes: readonly WatchUsersResponse[]): readonly WatchUsersResponse[] {
    const last = this.#ranges.at(-1)?.revision ?? 0;
    if (Number(changes[0]?.revision ?? 0) > last) this.#ranges.length = 0;
    return this.#ranges.length === 0 ? changes : changes.filter((change) => !this.#includes(change));
  }

  #includes({ userId, revision }: WatchUsersResponse): boolean {
    const range = userId > this.#after ? this.#ranges[this.#indexOf(userId)] : undefined;
    return range !== undefined && revision <= range.revision;
  }

  /** The index of the first range that goes as far as an id. */
  #indexOf(userId: string): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const through = this.#ranges[middle]?.through;
      if (through !== undefined && through < userId) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
