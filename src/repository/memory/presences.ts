import type { Presence, Presences } from "../presences.ts";

/** Presences in one process. They end with it, so none of them is ever too old. */
export class MemoryPresences implements Presences {
  readonly #byTopic = new Map<string, Map<string, Presence>>();

  async show(presences: readonly Presence[]): Promise<void> {
    for (const presence of presences) {
      const shown = this.#byTopic.get(presence.topic) ?? new Map();
      this.#byTopic.set(presence.topic, shown.set(presence.session, presence));
    }
  }

  async remove(sessions: readonly string[]): Promise<void> {
    for (const [topic, shown] of this.#byTopic) {
      for (const session of sessions) shown.delete(session);
      if (shown.size === 0) this.#byTopic.delete(topic);
    }
  }

  async list(topic: string): Promise<Presence[]> {
    return [...(this.#byTopic.get(topic)?.values() ?? [])].sort((one, other) => (one.session < other.session ? -1 : 1));
  }
}
