import type { CollaborativeEditResponse } from "../../gen/user/v1/collaborative_edit_pb.ts";
import type { Presence } from "../../repository/presences.ts";
import type { PresenceView } from "../presence-view.ts";
import { presenceEvent } from "./edit-messages.ts";

/** Tells one editor of the others at the document: not of each move, but of where they are when the editor asks. */
export class OtherEditors {
  readonly #view: PresenceView;
  readonly #session: string;
  #seen: readonly Presence[] = [];
  #told = new Map<string, Presence>();

  /** `session` is the editor's own. */
  constructor(view: PresenceView, session: string) {
    this.#view = view;
    this.#session = session;
  }

  /** What the editor has not been told: who has come, moved or gone. */
  news(): CollaborativeEditResponse[] {
    const { present } = this.#view;
    if (present === this.#seen) return [];
    this.#seen = present;
    const others = new Map(
      present.filter(({ session }) => session !== this.#session).map((presence) => [presence.session, presence]),
    );
    const gone = [...this.#told.values()].filter(({ session }) => !others.has(session));
    const changed = [...others.values()].filter(({ session, detail }) => this.#told.get(session)?.detail !== detail);
    this.#told = others;
    return [
      ...gone.map((presence) => presenceEvent(presence, true)),
      ...changed.map((presence) => presenceEvent(presence, false)),
    ];
  }
}
