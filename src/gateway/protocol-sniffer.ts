import type { Socket } from "node:net";

/** What every HTTP/2 connection begins with (RFC 9113 section 3.4), as far as it tells it from HTTP/1.1. */
const PREFACE = Buffer.from("PRI * HTTP/2");

/** Takes a connection over whose first bytes are there to be read. */
type Accept = (socket: Socket) => void;

/**
 * Hands a connection on by the protocol that its first bytes are of: HTTP/1.1, or HTTP/2 with prior knowledge. Closes
 * it when that is not clear after `timeoutMs`, however many bytes come.
 */
export function sniffProtocol(socket: Socket, http1: Accept, http2: Accept, timeoutMs: number): void {
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  const stopTimer = (): void => clearTimeout(timer);
  let seen = Buffer.alloc(0);
  const onData = (bytes: Buffer): void => {
    seen = Buffer.concat([seen, bytes]);
    const length = Math.min(seen.length, PREFACE.length);
    const isHttp2 = seen.subarray(0, length).equals(PREFACE.subarray(0, length));
    if (isHttp2 && length < PREFACE.length) return;
    stopTimer();
    socket.off("data", onData).off("close", stopTimer).pause();
    socket.unshift(seen);
    (isHttp2 ? http2 : http1)(socket);
    // HTTP/2 takes the bytes from the handle, HTTP/1.1 from the stream.
    if (!isHttp2) socket.resume();
  };
  socket.on("data", onData).once("close", stopTimer);
  // Connections break; who uses this one will notice.
  socket.on("error", () => {});
}
