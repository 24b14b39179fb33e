/** Items that are sent one by one, to be taken by one reader in their order. */
export class Mailbox<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #ended = false;
  #wake: () => void = () => {};

  /** How many items wait. */
  get size(): number {
    return this.#items.length;
  }

  /** Adds an item. Ignored after the end. */
  send(item: T): void {
    if (this.#ended) return;
    this.#items.push(item);
    this.#wake();
  }

  /** Ends what the reader gets after what has been sent. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      while (this.#items.length > 0) yield this.#items.shift() as T;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
