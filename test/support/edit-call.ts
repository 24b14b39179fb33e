import { randomUUID } from "node:crypto";
import type { Client } from "@connectrpc/connect";
import { onTestFinished } from "vitest";
import type {
  AppliedOperation,
  CollaborativeEditResponse,
  DocumentSnapshot,
  EditorPresence,
} from "../../src/gen/user/v1/collaborative_edit_pb.ts";
import type { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { type EditRequest, RequestQueue, type TextOp, toOp, toSteps } from "./editor.ts";

type Event = CollaborativeEditResponse["event"];

/** What an AppliedOperation says, to be compared. */
export interface Applied {
  readonly revision: number;
  readonly steps: TextOp;
  readonly userId: string;
  readonly operationId: string;
}

/** One call of CollaborativeEdit, said and heard message by message. It is cancelled after the test. */
export class EditCallOfTest {
  readonly #queue = new RequestQueue();
  readonly #controller = new AbortController();
  readonly #events: AsyncIterator<CollaborativeEditResponse>;
  /** The presences that were skipped. */
  readonly presences: EditorPresence[] = [];

  constructor(client: Client<typeof UserService>, options: { timeoutMs?: number } = {}) {
    const call = client.collaborativeEdit(this.#queue, { signal: this.#controller.signal, ...options });
    this.#events = call[Symbol.asyncIterator]();
    onTestFinished(() => this.cancel());
  }

  say(request: EditRequest["request"]): this {
    if (request !== undefined) this.#queue.send({ request });
    return this;
  }

  open(userId: string, afterRevision?: number): this {
    const after = afterRevision === undefined ? {} : { afterRevision: BigInt(afterRevision) };
    return this.say({ case: "open", value: { userId, ...after } });
  }

  /** Sends an operation, and returns its id. */
  edit(baseRevision: number, op: TextOp, operationId: string = randomUUID()): string {
    const value = { operationId, baseRevision: BigInt(baseRevision), steps: toSteps(op) };
    this.say({ case: "operation", value });
    return operationId;
  }

  move(position: number, selectionEnd = position): this {
    return this.say({ case: "cursor", value: { position, selectionEnd } });
  }

  halfClose(): void {
    this.#queue.end();
  }

  cancel(): void {
    this.#queue.end();
    this.#controller.abort();
    // Whoever cancels does not want to know.
    this.#events.next().catch(() => {});
  }

  /** The next event, whatever it is; undefined at the end. */
  async event(): Promise<Event | undefined> {
    const { done, value } = await this.#events.next();
    return done ? undefined : value.event;
  }

  /** The text, which is the next event but for presences. */
  async snapshot(): Promise<{ revision: number; text: string }> {
    const { revision, text } = (await this.#next("snapshot")) as DocumentSnapshot;
    return { revision: Number(revision), text };
  }

  /** The operation that is the next event but for presences. */
  async operation(): Promise<Applied> {
    const { revision, steps, userId, operationId } = (await this.#next("operation")) as AppliedOperation;
    return { revision: Number(revision), steps: toOp(steps), userId, operationId };
  }

  /** The presence that is the next event. */
  async presence(): Promise<EditorPresence> {
    const known = this.presences.shift();
    return known ?? ((await this.#next("presence")) as EditorPresence);
  }

  /** Reads to the end. Returns what came, and fails as the call does. */
  async rest(): Promise<Event[]> {
    const events: Event[] = [];
    for (let event = await this.event(); event !== undefined; event = await this.event()) events.push(event);
    return events;
  }

  async #next(kind: Event["case"]): Promise<Event["value"]> {
    for (;;) {
      const event = await this.event();
      if (event === undefined) throw new Error(`the call has ended, without ${kind}`);
      if (event.case === kind) return event.value;
      if (event.case !== "presence") throw new Error(`${event.case} came instead of ${kind}`);
      this.presences.push(event.value);
    }
  }
}
