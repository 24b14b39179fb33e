import type { Metadata } from "@grpc/grpc-js";
import { DecompressionBusyError, UnknownEncodingError } from "../grpc/errors.ts";
import { onInput, queuedMessages, requestEncoding } from "../grpc/wire.ts";
import { type Interceptor, PassThrough, wireOf } from "./pass-through.ts";
import { Turns, type TurnTaker } from "./turns.ts";

/**
 * What the compressed requests that are read at a time in one call may take, in bytes: they are what one DATA frame of
 * 16 KiB holds, and DEFLATE makes at most 1032 bytes of one (zlib, "Technical Details"), however many messages they
 * are.
 */
export const BYTES_PER_TURN = 16 * 2 ** 20;

/** How long a compressed message may be on its way while others wait. */
const PATIENCE_MS = 3000;

/** How long it takes, about, to decompress what is read in one turn. */
const AFTERMATH_MS = 100;

/**
 * Bounds the memory that compressed requests take, in bytes and for all calls together. grpc-js bounds what becomes of
 * one message, but decompresses those of all calls at once; here they take turns. A call takes its turn when bytes of a
 * message have arrived, so those that are silent keep nobody waiting, and gives it up with the message. A call that
 * keeps its turn for three seconds while others wait fails with RESOURCE_EXHAUSTED.
 *
 * A call whose encoding grpc-js does not know fails with UNIMPLEMENTED, and is told those that it knows. Calls that are
 * not compressed are left alone.
 */
export function createDecompression(maxBytes: number): Interceptor {
  const turns = new Turns(Math.max(1, Math.floor(maxBytes / BYTES_PER_TURN)), PATIENCE_MS);
  return (_method, call) => {
    const encoding = requestEncoding(wireOf(call));
    if (encoding === "identity") return call;
    return encoding === "gzip" || encoding === "deflate" ? new CompressedCall(call, turns) : new UnreadableCall(call);
  };
}

class CompressedCall extends PassThrough implements TurnTaker {
  readonly #turns: Turns;
  #stopListening: (() => void) | undefined;

  constructor(outer: PassThrough["outer"], turns: Turns) {
    super(outer);
    this.#turns = turns;
  }

  override startRead(): void {
    // What has been decompressed with the message before is there already.
    if (this.#turns.has(this) || queuedMessages(this.wire) > 0) super.startRead();
    else this.#stopListening ??= onInput(this.wire, () => this.#turns.enter(this));
  }

  begin(): void {
    this.#stop();
    super.startRead();
  }

  expire(): void {
    this.refuse(new DecompressionBusyError());
  }

  override onReceiveMessage(message: unknown): void {
    if (queuedMessages(this.wire) === 0) this.#turns.leave(this);
    super.onReceiveMessage(message);
  }

  override onReceiveHalfClose(): void {
    this.#turns.leave(this);
    super.onReceiveHalfClose();
  }

  override onCancel(): void {
    this.#stop();
    // grpc-js goes on decompressing what a call has sent beside the message that it failed for.
    if (this.#turns.has(this) && queuedMessages(this.wire) > 1) setTimeout(() => this.#turns.leave(this), AFTERMATH_MS);
    else this.#turns.leave(this);
    super.onCancel();
  }

  #stop(): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
  }
}

class UnreadableCall extends PassThrough {
  override onReceiveMetadata(_metadata: Metadata): void {
    this.refuse(new UnknownEncodingError());
  }
}
