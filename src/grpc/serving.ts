import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import type { createMethodImplSpec } from "@connectrpc/connect";
import type { LiveStreams } from "./live-streams.ts";

type AnyMethod = ReturnType<typeof createMethodImplSpec>;

/** A method of one kind, and the function that implements it. */
export type MethodOf<Kind extends AnyMethod["kind"]> = Extract<AnyMethod, { kind: Kind }>;

/** What a handler returns or yields. */
export type Response = MessageInitShape<DescMessage>;

/** What it takes to serve a method, whatever its kind. */
export interface Serving {
  /** Encodes what the handler returns or yields. */
  readonly encode: (response: Response) => Buffer;
  /** Where streams are kept that someone must end; undefined for methods that a deadline ends. */
  readonly live: LiveStreams | undefined;
}
