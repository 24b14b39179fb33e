import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type } from "ot-text-unicode";
import type {
  AppliedOperation,
  CollaborativeEditRequestSchema,
  CollaborativeEditResponse,
  EditorPresence,
  EditStep,
  EditStepSchema,
} from "../../src/gen/user/v1/collaborative_edit_pb.ts";

export type EditRequest = MessageInitShape<typeof CollaborativeEditRequestSchema>;

/** An operation as ot-text-unicode has it. */
export type TextOp = Parameters<typeof type.apply>[1];

/** Makes the call: sends requests, and yields what comes back until the signal is aborted or the call ends. */
export type EditCall = (
  requests: AsyncIterable<EditRequest>,
  signal: AbortSignal,
) => AsyncIterable<CollaborativeEditResponse>;

/** Requests that are sent one by one. */
export class RequestQueue implements AsyncIterable<EditRequest> {
  readonly #waiting: EditRequest[] = [];
  #ended = false;
  #wake: (() => void) | undefined;

  send(...requests: EditRequest[]): void {
    this.#waiting.push(...requests);
    this.#wake?.();
  }

  /** Ends the stream after what has been sent. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EditRequest> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) yield next;
      else if (this.#ended) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

/** One connection of an editor. */
interface Line {
  readonly queue: RequestQueue;
  readonly closing: AbortController;
  readonly over: Promise<unknown>;
}

/**
 * An editor as docs/collaborative-edit.md describes it, which knows only what the contract says. What is typed shows at once; at most
 * one operation is under way, and what is typed meanwhile is gathered for the next one.
 */
export class Editor {
  text = "";
  /** Undefined until the document has been opened. */
  revision: number | undefined;
  /** The others, by session. */
  readonly others = new Map<string, EditorPresence>();
  /** How many snapshots have come, how many operations of others and of its own, and how many have been sent again. */
  readonly seen = { snapshots: 0, operations: 0, own: 0, resent: 0 };
  /** What a call has failed with that was not disconnected. */
  failure: unknown;
  readonly #userId: string;
  readonly #call: EditCall;
  readonly #newId: () => string;
  #underWay: { readonly id: string; op: TextOp } | undefined;
  #gathered: TextOp = [];
  #line: Line | undefined;
  /** The connection on which the one under way has been sent. */
  #sentOn: Line | undefined;
  #waiting: (() => void)[] = [];

  constructor(userId: string, call: EditCall, newId: () => string = randomUUID) {
    this.#userId = userId;
    this.#call = call;
    this.#newId = newId;
  }

  /** Whether everything that was typed has come back. */
  get isSettled(): boolean {
    return this.#underWay === undefined && this.#gathered.length === 0;
  }

  /** Opens the document, or opens it again where it was left, and sends again what has not come back. */
  connect(): void {
    this.failure = undefined;
    const queue = new RequestQueue();
    const closing = new AbortController();
    const afterRevision = this.revision === undefined ? {} : { afterRevision: BigInt(this.revision) };
    queue.send({ request: { case: "open", value: { userId: this.#userId, ...afterRevision } } });
    this.others.clear();
    const over = this.#read(this.#call(queue, closing.signal), closing.signal).catch((error: unknown) => {
      if (!closing.signal.aborted) this.failure = error;
      return error;
    });
    this.#line = { queue, closing, over };
    this.#send();
  }

  /** Loses the connection, now. Returns what the call ended with. */
  async disconnect(): Promise<unknown> {
    const line = this.#line;
    this.#line = undefined;
    line?.closing.abort();
    line?.queue.end();
    return line?.over;
  }

  /** Half-closes, and waits for the end. Returns what the call failed with. */
  async finish(): Promise<unknown> {
    this.#line?.queue.end();
    return this.#line?.over;
  }

  /** What the call ends with. */
  get over(): Promise<unknown> | undefined {
    return this.#line?.over;
  }

  /** Changes the text, as by typing. */
  edit(op: TextOp): void {
    this.text = type.apply(this.text, op);
    this.#gathered = type.compose(this.#gathered, op);
    this.#send();
  }

  /** Sends requests as they are. */
  say(...requests: NonNullable<EditRequest["request"]>[]): void {
    for (const request of requests) this.#line?.queue.send({ request });
  }

  move(position: number, selectionEnd = position): void {
    this.#line?.queue.send({ request: { case: "cursor", value: { position, selectionEnd } } });
  }

  /** Waits until something is so. To be asked again after each event. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  async #read(events: AsyncIterable<CollaborativeEditResponse>, lost: AbortSignal): Promise<void> {
    try {
      for await (const { event } of events) {
        if (lost.aborted) return;
        if (event.case === "snapshot") this.#begin(Number(event.value.revision), event.value.text);
        else if (event.case === "operation") this.#take(event.value);
        else if (event.case === "presence") this.#meet(event.value);
        this.#tell();
      }
    } finally {
      this.#tell();
    }
  }

  #tell(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** What had not come back cannot be told from what others did, and is given up. */
  #begin(revision: number, text: string): void {
    this.seen.snapshots++;
    this.revision = revision;
    this.text = text;
    this.#underWay = undefined;
    this.#gathered = [];
  }

  #take({ revision, steps, operationId }: AppliedOperation): void {
    if (Number(revision) !== (this.revision ?? 0) + 1) throw new Error(`${revision} follows ${this.revision}`);
    this.revision = Number(revision);
    const op = toOp(steps);
    if (operationId !== "" && operationId === this.#underWay?.id) {
      this.seen.own++;
      // What the server has made of it is what this editor has made of it.
      if (JSON.stringify(op) !== JSON.stringify(this.#underWay.op)) throw new Error("transformed in another way");
      this.#underWay = undefined;
      this.#send();
    } else {
      this.seen.operations++;
      this.#follow(op);
    }
  }

  /** Takes another one's operation, which was applied before what has not come back. */
  #follow(op: TextOp): void {
    let theirs = op;
    if (this.#underWay !== undefined) {
      const { op: own } = this.#underWay;
      this.#underWay.op = type.transform(own, theirs, "right");
      theirs = type.transform(theirs, own, "left");
    }
    const gathered = this.#gathered;
    this.#gathered = type.transform(gathered, theirs, "right");
    theirs = type.transform(theirs, gathered, "left");
    this.text = type.apply(this.text, theirs);
  }

  #meet(presence: EditorPresence): void {
    if (presence.gone) this.others.delete(presence.sessionId);
    else this.others.set(presence.sessionId, presence);
  }

  /** Sends what is to be under way. Called when the connection is new, or when the last one has come back, or at each change. */
  #send(): void {
    if (this.revision === undefined || this.#line === undefined) return;
    if (this.#underWay === undefined) {
      if (this.#gathered.length === 0) return;
      this.#underWay = { id: this.#newId(), op: this.#gathered };
      this.#gathered = [];
    } else if (this.#line === this.#sentOn) return;
    else this.seen.resent++;
    this.#sentOn = this.#line;
    const { id: operationId, op } = this.#underWay;
    const value = { operationId, baseRevision: BigInt(this.revision), steps: toSteps(op) };
    this.#line.queue.send({ request: { case: "operation", value } });
  }
}

/** The steps of a message as an operation. */
export function toOp(steps: readonly EditStep[]): TextOp {
  return steps.map(({ step }) => {
    if (step.case === undefined) throw new Error("a step without content");
    return step.case === "delete" ? { d: step.value } : step.value;
  });
}

/** An operation as the steps of a message. */
export function toSteps(op: TextOp): MessageInitShape<typeof EditStepSchema>[] {
  return op.map((step) => {
    if (typeof step === "number") return { step: { case: "retain", value: step } };
    if (typeof step === "string") return { step: { case: "insert", value: step } };
    return { step: { case: "delete", value: Number(step.d) } };
  });
}
