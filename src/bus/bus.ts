/**
 * Tells those who wait for something that it may be there, across all replicas. The bus carries no content: what is
 * new, each reads where it is kept, so that a message which is lost costs time and nothing else.
 */
export interface Bus {
  /**
   * Wakes all who follow the topic, in this process and in others. To be called once what is new can be read. Returns
   * at once and never fails; news of the same moment may be told together.
   */
  publish(topic: string): void;

  /**
   * Calls `wake` after each `publish`. A bus that can lose news also calls it from time to time. `wake` must not throw.
   * Returns a function that ends this.
   */
  follow(topic: string, wake: () => void): () => void;
}
