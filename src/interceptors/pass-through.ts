import { type Metadata, ServerInterceptingCall, type ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { type CallStatus, toStatus } from "../grpc/status.ts";

/** What receives the events of a call from the wire. grpc-js does not export its name. */
type Listener = Parameters<ServerInterceptingCallInterface["start"]>[0];

/**
 * The base of every interceptor: passes each event of a call on, in both directions, by plain method calls. A concern
 * overrides the few methods it cares about. (grpc-js's listener and responder builders do the same with a closure per
 * event and per call.)
 *
 * Events come in from the wire through the `on` methods, in this order: metadata, messages, half-close; onCancel last, for
 * every call. The handler answers through the `send` methods.
 */
export class PassThrough extends ServerInterceptingCall implements Listener {
  /** The neighbour towards the wire. */
  protected readonly outer: ServerInterceptingCallInterface;
  /** The neighbour towards the handler. Set before the first event. */
  protected inner!: Listener;

  /** The call at the wire itself, which grpc-js made. */
  protected readonly wire: ServerInterceptingCallInterface;

  constructor(outer: ServerInterceptingCallInterface) {
    super(outer);
    this.outer = outer;
    this.wire = outer instanceof PassThrough ? outer.wire : outer;
  }

  /** An interceptor that does nothing: the call itself if it can stand for one. */
  static over(call: ServerInterceptingCallInterface): PassThrough {
    return call instanceof PassThrough ? call : new PassThrough(call);
  }

  override start(inner: Listener): void {
    this.inner = inner;
    this.outer.start(this);
  }

  onReceiveMetadata(metadata: Metadata): void {
    this.inner.onReceiveMetadata(metadata);
  }

  onReceiveMessage(message: unknown): void {
    this.inner.onReceiveMessage(message);
  }

  onReceiveHalfClose(): void {
    this.inner.onReceiveHalfClose();
  }

  onCancel(): void {
    this.inner.onCancel();
  }

  override sendMetadata(metadata: Metadata): void {
    this.outer.sendMetadata(metadata);
  }

  override sendMessage(message: unknown, done: () => void): void {
    this.outer.sendMessage(message, done);
  }

  override sendStatus(status: CallStatus): void {
    this.outer.sendStatus(status);
  }

  override startRead(): void {
    this.outer.startRead();
  }

  /** Ends the call with the status of `error`: outwards for the client, inwards for a handler that has started. */
  protected refuse(error: unknown): void {
    this.outer.sendStatus(toStatus(error));
    this.inner.onCancel();
  }
}
