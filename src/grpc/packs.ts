import { letGo } from "../service/batches.ts";
import { packMessages } from "./packed-messages.ts";

/**
 * Bytes after which messages that are there together are written. A client that does not read costs 16 of these beside
 * the write window, because grpc-js's streams hold 16 writes; on a live stream, which may stay unread for days, it
 * costs one.
 */
const PACK_BYTES = 4 * 1024;

/** Encodes a message. */
type Encode<T> = (message: T) => Buffer;

/** Of batches that are frozen, because they go to many clients. */
const shared = new WeakMap<readonly unknown[], readonly Buffer[]>();

/** The messages of a batch, packed in groups large enough to be worth a write. */
export function* packsOf<T>(batch: readonly T[], encode: Encode<T>, allocate = Buffer.allocUnsafe): Generator<Buffer> {
  let pack: Buffer[] = [];
  let bytes = 0;
  for (const message of batch) {
    const encoded = encode(message);
    pack.push(encoded);
    bytes += encoded.length;
    if (bytes < PACK_BYTES) continue;
    yield packMessages(pack, allocate);
    pack = [];
    bytes = 0;
  }
  if (pack.length > 0) yield packMessages(pack, allocate);
}

/**
 * The same packs, for a stream that may rest between two of them for days: they keep alive neither messages, if these
 * were given away, nor each other. The packs of a frozen batch are made once.
 */
export function lastingPacks<T>(batch: readonly T[], encode: Encode<T>): readonly Buffer[] {
  // Not from Buffer's pool, whose slabs live for as long as a part of them.
  const packs = shared.get(batch) ?? [...packsOf(batch, encode, Buffer.allocUnsafeSlow)];
  if (Object.isFrozen(batch)) shared.set(batch, packs);
  else letGo(batch);
  return packs;
}
