import type { Metadata } from "@grpc/grpc-js";
import type { Principal } from "../domain/principal.ts";

/** What interceptors find out about a call for its handler. */
export interface CallRecord {
  /** The id under which the logs know the call. */
  readonly requestId: string;
  /** The caller, once proven. */
  principal?: Principal;
}

/**
 * grpc-js gives interceptors and handlers no common context but the request metadata, one object per call. A property
 * of our own on it does what a WeakMap would, without the work that its entries make for the garbage collector.
 */
const RECORD = Symbol("call record");

type Recorded = Metadata & { [RECORD]?: CallRecord };

/** Keeps the record of the call that has this request metadata. */
export function keepRecord(metadata: Metadata, record: CallRecord): void {
  (metadata as Recorded)[RECORD] = record;
}

/** The record of the call that has this request metadata; an empty one if none was kept. */
export function recordOf(metadata: Metadata): CallRecord {
  return (metadata as Recorded)[RECORD] ?? { requestId: "" };
}
