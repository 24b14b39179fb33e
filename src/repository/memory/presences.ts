import type { Presence, Presences } from "../presences.ts";

/** Presences in one process. They end with it, so none of them is ever too old. */
export class MemoryPresences implements Presences {
  readonly #byTopic = new Map<string, Map<string, Presence>>();
  readonly #topics = new Map<string, string>();

  async show(presences: readonly Presence[]): Promise<void> {
    for (const presence of presences) {
      const shown = this.#byTopic.get(presence.topic) ?? new Map();
      this.#byTopic.set(presence.topic, shown.set(presence.session, presence));
      this.#topics.set(presence.session, presence.topic);
    }
  }

  async remove(sessions: readonly string[]): Promise<void> {
    for (const session of sessions) {
      const topic = this.#topics.get(session) ?? "";
      const shown = this.#byTopic.get(topic);
      shown?.delete(session);
      if (shown?.size === 0) this.#byTopic.delete(topic);
      this.#topics.delete(session);
    }
  }

  async list(topic: string): Promise<Presence[]> {
    return [...(this.#byTopic.get(topic)?.values() ?? [])].sort((one, other) => (one.session < other.session ? -1 : 1));
  }
}
