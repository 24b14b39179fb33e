import type { Bus } from "./bus.ts";

/** A bus for one process. It loses nothing, so it wakes nobody in vain. */
export class InProcessBus implements Bus {
  readonly #followers = new Map<string, Set<() => void>>();
  readonly #news = new Set<string>();
  #round = this.#followers.keys();

  publish(topic: string): void {
    if (this.#news.size === 0) setImmediate(() => this.#tell());
    this.#news.add(topic);
  }

  follow(topic: string, wake: () => void): () => void {
    // A function of its own, so that who follows a topic twice can end it twice.
    const follower = () => wake();
    const followers = this.#followers.get(topic) ?? new Set();
    this.#followers.set(topic, followers.add(follower));
    return () => {
      followers.delete(follower);
      if (followers.size === 0 && this.#followers.get(topic) === followers) this.#followers.delete(topic);
    };
  }

  /** How many topics are followed. */
  get size(): number {
    return this.#followers.size;
  }

  /** Publishes so many of the topics that are followed: each call the next ones, and after the last the first again. */
  publishNext(count: number): void {
    for (let left = Math.min(count, this.size); left > 0; ) {
      const { done, value: topic } = this.#round.next();
      if (done) {
        this.#round = this.#followers.keys();
      } else {
        this.publish(topic);
        left--;
      }
    }
  }

  #tell(): void {
    const topics = [...this.#news];
    this.#news.clear();
    for (const topic of topics) for (const follower of this.#followers.get(topic) ?? []) follower();
  }
}
