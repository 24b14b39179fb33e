import type { MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, type Client, Code, ConnectError } from "@connectrpc/connect";
import type {
  CollaborativeEditRequestSchema,
  CollaborativeEditResponse,
  EditorPresence,
} from "../../gen/user/v1/collaborative_edit_pb.ts";
import type { UserService } from "../../gen/user/v1/user_service_pb.ts";
import { Backoff, isPassing } from "../backoff.ts";
import { Mailbox } from "../mailbox.ts";
import { LocalDocument, MAX_STEPS, type UnderWay } from "./local-document.ts";
import { lengthOf, type TextOperation, toOperation, toSteps } from "./text-operation.ts";

/** The part of a client that edits. */
export type EditingClient = Pick<Client<typeof UserService>, "collaborativeEdit">;

/** A change of the text that others have made. */
export interface EditChange {
  /** What it does to the text as it was here; undefined if the whole text is another. */
  readonly operation: TextOperation | undefined;
  /** Who has made it; empty for a change by other methods, and for another text. */
  readonly userId: string;
  /**
   * The text of before, if not all that was typed into it has come back when another text came, because this editor was
   * away for too long or typed what is not allowed. Whether it has been applied is in the new text: show both.
   */
  readonly lostText: string | undefined;
}

/** How a text is edited, and who is told of what. */
export interface EditOptions extends Pick<CallOptions, "headers" | "signal"> {
  /** Is told of each change by others, when `text` has it. */
  readonly onChange?: (change: EditChange) => void;
  /** Is told when `others` has changed. */
  readonly onPresence?: (others: ReadonlyMap<string, EditorPresence>) => void;
  /** Is told of each interruption, before the text is opened again. */
  readonly onInterrupted?: (error: ConnectError) => void;
}

type Request = NonNullable<MessageInitShape<typeof CollaborativeEditRequestSchema>["request"]>;
type Line = Mailbox<MessageInitShape<typeof CollaborativeEditRequestSchema>>;

/** Somebody who edits a text together with others, over as many calls as it takes. Positions are in code points. */
export class Editor implements AsyncDisposable {
  /** The others, by session. */
  readonly others: ReadonlyMap<string, EditorPresence>;
  readonly #client: EditingClient;
  readonly #userId: string;
  readonly #options: EditOptions;
  readonly #document = new LocalDocument();
  readonly #presences = new Map<string, EditorPresence>();
  readonly #leaving = new AbortController();
  readonly #over: AbortSignal;
  readonly #backoff = new Backoff();
  readonly #end: Promise<void>;
  #line: Line | undefined;
  #opened = false;
  #closing = false;
  #failure: ConnectError | undefined;
  #news = Promise.withResolvers<void>();

  constructor(client: EditingClient, userId: string, options: EditOptions) {
    const { signal } = options;
    this.others = this.#presences;
    this.#client = client;
    this.#userId = userId;
    this.#options = options;
    this.#over = signal === undefined ? this.#leaving.signal : AbortSignal.any([signal, this.#leaving.signal]);
    this.#end = this.#stay();
  }

  /** The text as this editor has it: that of everybody, and what was typed here. */
  get text(): string {
    return this.#document.text;
  }

  /** Changes the text, at once here, and soon for everybody. @throws RangeError if the text cannot be changed so. */
  apply(operation: TextOperation): void {
    this.#requireOpen();
    this.#document.type(operation);
    this.#depart();
  }

  /** Inserts a text. */
  insert(position: number, text: string): void {
    this.apply([position, text]);
  }

  /** Deletes `count` code points. */
  delete(position: number, count: number): void {
    this.apply([position, { d: count }]);
  }

  /** Tells the others where this editor is, and what is selected. */
  move(position: number, selectionEnd: number = position): void {
    this.#requireOpen();
    const last = lengthOf(this.text);
    const value = { position: Math.min(position, last), selectionEnd: Math.min(selectionEnd, last) };
    if (this.#document.revision !== undefined) this.#say({ case: "cursor", value });
  }

  /** Resolves when all that was typed is in the text of everybody. Rejects if editing fails before. */
  async settled(): Promise<void> {
    while (!this.#document.isSettled || this.#document.revision === undefined) {
      if (this.#over.aborted) {
        await this.#end;
        throw this.#failure ?? closed();
      }
      await this.#news.promise;
    }
  }

  /** Waits until all that was typed is in the text of everybody, and ends. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#document.isSettled) this.#finish();
    await this.#end;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What editing failed with; undefined while it goes on, and if it was closed. */
  get failure(): ConnectError | undefined {
    return this.#failure;
  }

  async #stay(): Promise<void> {
    try {
      while (!(this.#closing && this.#document.isSettled)) {
        this.#over.throwIfAborted();
        try {
          await this.#call();
        } catch (reason) {
          // What does not fit to what is here is as good as unknown.
          await this.#recover(
            ConnectError.from(reason, reason instanceof RangeError ? Code.OutOfRange : Code.Internal),
          );
        }
      }
    } catch (reason) {
      if (!this.#leaving.signal.aborted) this.#failure = ConnectError.from(reason, Code.Canceled);
    }
    this.#leaving.abort();
    this.#tell();
  }

  async #call(): Promise<void> {
    const line: Line = new Mailbox();
    this.#line = line;
    this.#forgetOthers();
    const { revision, underWay } = this.#document;
    const after = revision === undefined ? {} : { afterRevision: revision };
    this.#say({ case: "open", value: { userId: this.#userId, ...after } });
    if (revision !== undefined && underWay !== undefined) this.#send(underWay);
    else this.#depart();
    const { headers } = this.#options;
    const options = { signal: this.#over, timeoutMs: 0, ...(headers && { headers }) };
    try {
      for await (const { event } of this.#client.collaborativeEdit(line, options)) {
        this.#backoff.reset();
        this.#take(event);
        this.#depart();
        this.#tell();
        if (this.#closing && this.#document.isSettled) this.#finish();
      }
      if (!this.#closing) throw new ConnectError("the call was ended", Code.Unavailable);
    } finally {
      this.#line = undefined;
      line.end();
    }
  }

  #take(event: CollaborativeEditResponse["event"]): void {
    const { onChange, onPresence } = this.#options;
    if (event.case === "snapshot") {
      const isFirst = !this.#opened;
      this.#opened = true;
      const lostText = this.#document.begin(event.value.revision, event.value.text);
      if (!isFirst) onChange?.({ operation: undefined, userId: "", lostText });
    } else if (event.case === "operation") {
      const { revision, operationId, steps, userId } = event.value;
      const operation = this.#document.take(revision, operationId, toOperation(steps));
      if (operation !== undefined) onChange?.({ operation, userId, lostText: undefined });
    } else if (event.case === "presence") {
      if (event.value.gone) this.#presences.delete(event.value.sessionId);
      else this.#presences.set(event.value.sessionId, event.value);
      onPresence?.(this.#presences);
    }
  }

  #depart(): void {
    if (this.#line === undefined) return;
    const departing = this.#document.depart();
    if (departing !== undefined) this.#send(departing);
  }

  /** Sends an operation as it is now, or where it has grown too long, as it was first. */
  #send({ id: operationId, operation, first }: UnderWay): void {
    const { revision = first.revision } = this.#document;
    const sent = operation.length <= MAX_STEPS ? { operation, revision } : first;
    const value = { operationId, baseRevision: sent.revision, steps: toSteps(sent.operation) };
    this.#say({ case: "operation", value });
  }

  #say(request: Request): void {
    this.#line?.send({ request });
  }

  async #recover(error: ConnectError): Promise<void> {
    if (this.#over.aborted) throw error;
    const known = this.#document.revision !== undefined;
    // The revision is unknown there, or what was typed is not allowed: only the text of everybody helps, which ends
    // what is under way.
    if (known && (error.code === Code.OutOfRange || error.code === Code.InvalidArgument)) this.#document.forget();
    else if (!isPassing(error)) throw error;
    this.#options.onInterrupted?.(error);
    if (this.#closing && this.#document.isSettled) this.#finish();
    await this.#backoff.pause(error, this.#over);
  }

  /** Ends the call that there is, or the pause before the next one. */
  #finish(): void {
    if (this.#line !== undefined) this.#line.end();
    else this.#leaving.abort();
  }

  #forgetOthers(): void {
    if (this.#presences.size === 0) return;
    this.#presences.clear();
    this.#options.onPresence?.(this.#presences);
  }

  #requireOpen(): void {
    if (this.#closing || this.#over.aborted) throw this.#failure ?? closed();
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

function closed(): ConnectError {
  return new ConnectError("the editor is closed", Code.Canceled);
}

/**
 * Opens a user's bio to edit it together with others: `await using editor = await edit(client, userId)`, and then
 * `editor.insert(0, "Hello")`. Resolves when the text has come. When a call breaks off, the text is opened again, on
 * any replica: nothing that was typed is lost, or done twice.
 *
 * @throws ConnectError if it cannot be opened: NOT_FOUND if there is no such user.
 */
export async function edit(client: EditingClient, userId: string, options: EditOptions = {}): Promise<Editor> {
  const editor = new Editor(client, userId, options);
  await editor.settled();
  return editor;
}
