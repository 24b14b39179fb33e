/** The client called the call off, or its connection broke. */
export class CallCancelledError extends Error {
  override readonly name = "CallCancelledError";

  constructor() {
    super("the call was cancelled");
  }
}

/** The call's time ran out, or so nearly that starting it would be in vain. */
export class DeadlineExceededError extends Error {
  override readonly name = "DeadlineExceededError";

  constructor() {
    super("deadline exceeded");
  }
}

/** The server is about to stop; another replica can take the call. */
export class ServerStoppingError extends Error {
  override readonly name = "ServerStoppingError";

  constructor() {
    super("the server is stopping");
  }
}

/** Somebody makes calls faster than they may. */
export class RateLimitedError extends Error {
  override readonly name = "RateLimitedError";
  /** Who makes too many: the clients of one address, or one caller. */
  readonly limited: "address" | "caller";
  /** Milliseconds until another call is let in. */
  readonly waitMs: number;

  constructor(limited: "address" | "caller", waitMs: number) {
    super(`too many calls from this ${limited}`);
    this.limited = limited;
    this.waitMs = waitMs;
  }
}

/** There is more to do than can be done in time. */
export class OverloadedError extends Error {
  override readonly name = "OverloadedError";

  constructor() {
    super("the server has too much to do");
  }
}

/** As many live streams are open as may be. */
export class TooManyStreamsError extends Error {
  override readonly name = "TooManyStreamsError";

  constructor() {
    super("the server has too many open streams");
  }
}

/**
 * A stream without a deadline has lived as long as its connection may; it can be opened again, here or at another
 * replica.
 */
export class StreamAgedError extends Error {
  override readonly name = "StreamAgedError";

  constructor() {
    super("the stream has reached its age: open it again");
  }
}

/** A client stream ended with other messages than its client meant to send. */
export class IncompleteStreamError extends Error {
  override readonly name = "IncompleteStreamError";

  /** `fact` says what was seen, for the client. */
  constructor(fact: string) {
    super(fact);
  }
}

/** A request message is larger than those of its method may be. */
export class RequestTooLargeError extends Error {
  override readonly name = "RequestTooLargeError";
  readonly limitBytes: number;

  constructor(limitBytes: number) {
    super("the request message is too large");
    this.limitBytes = limitBytes;
  }
}

/** The messages of a call are compressed in a way that the server does not know. */
export class UnknownEncodingError extends Error {
  override readonly name = "UnknownEncodingError";

  constructor() {
    super("messages are compressed in an unknown way (grpc-encoding)");
  }
}

/** A compressed message took so long to arrive that others, who wait for their turn to be decompressed, go first. */
export class DecompressionBusyError extends Error {
  override readonly name = "DecompressionBusyError";

  constructor() {
    super("a compressed message took too long to arrive while others waited");
  }
}

/** A request message says of itself what the call does not: that it is compressed, or something that has no meaning. */
export class MessageFlagError extends Error {
  override readonly name = "MessageFlagError";

  constructor() {
    super("a message has a flag that its call does not allow");
  }
}

/** A message arrives in so many pieces that they take far more memory than it does. */
export class PiecemealMessageError extends Error {
  override readonly name = "PiecemealMessageError";

  constructor() {
    super("a message arrives in too many pieces");
  }
}

/** The caller proved no identity. Says never why, so that guessing teaches nothing. */
export class UnauthenticatedError extends Error {
  override readonly name = "UnauthenticatedError";

  constructor() {
    super("a valid bearer token is required");
  }
}

/** The proof of who the caller is has expired while the call went on. With a new one, it can be made again. */
export class ProofExpiredError extends Error {
  override readonly name = "ProofExpiredError";

  constructor() {
    super("the proof of identity has expired; call again with a new one");
  }
}

/** Nobody can say whether the caller's token is good: the keys of its issuer cannot be fetched. */
export class TokenKeysUnavailableError extends Error {
  override readonly name = "TokenKeysUnavailableError";
  /** When it is worth another try, in milliseconds. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super("the token cannot be verified now");
    this.retryAfterMs = retryAfterMs;
  }
}

/** The headers of the call are larger than is allowed. */
export class HeadersTooLargeError extends Error {
  override readonly name = "HeadersTooLargeError";

  constructor() {
    super("the headers of the call are too large");
  }
}

/** The client speaks plain text where TLS is spoken. */
export class TlsRequiredError extends Error {
  override readonly name = "TlsRequiredError";

  constructor() {
    super("TLS required: this port speaks TLS, and the connection came in plain text");
  }
}
