import { constants, createServer, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { TlsRequiredError } from "./errors.ts";
import { toStatus } from "./status.ts";

/** What a connection begins with: a handshake, or HTTP in plain text. */
export type Beginning = "tls" | "http1" | "http2";

/** The methods of HTTP/1.1, and the preface of HTTP/2 (RFC 9113, section 3.4), begin with capital letters. */
const FIRST_LETTER = 0x41;
const LAST_LETTER = 0x5a;
/** No method of HTTP/1.1 begins so. */
const HTTP2 = "PRI";

/**
 * Waits for the first bytes of a connection, and says what they begin. They are left to be read. What is not HTTP is
 * for OpenSSL to judge, also where it is no handshake.
 */
export function onBeginning(socket: Socket, told: (beginning: Beginning) => void): void {
  let seen = "";
  const parts: Buffer[] = [];
  const onReadable = (): void => {
    const bytes: Buffer | null = socket.read();
    if (bytes === null) return;
    parts.push(bytes);
    seen += bytes.toString("latin1", 0, HTTP2.length);
    const first = seen.charCodeAt(0);
    const isText = first >= FIRST_LETTER && first <= LAST_LETTER;
    if (isText && seen.length < HTTP2.length) return;
    socket.off("readable", onReadable);
    for (const part of parts.reverse()) socket.unshift(part);
    if (isText) told(seen.startsWith(HTTP2) ? "http2" : "http1");
    else told("tls");
  };
  socket.on("readable", onReadable);
}

const STATUS = toStatus(new TlsRequiredError());
const GRPC_ANSWER = {
  ":status": 200,
  "content-type": "application/grpc+proto",
  "grpc-status": String(STATUS.code),
  "grpc-message": encodeURI(STATUS.details),
  ...STATUS.metadata.toHttp2Headers(),
};
/** In JSON, as Connect has errors, which its clients show. */
const HTTP_BODY = JSON.stringify({ code: "permission_denied", message: STATUS.details });
const HTTP_ANSWER = { ":status": 400, "content-type": "application/json", "content-length": HTTP_BODY.length };
const HTTP1_ANSWER = `HTTP/1.1 400 Bad Request\r
content-type: application/json\r
content-length: ${HTTP_BODY.length}\r
connection: close\r
\r
${HTTP_BODY}`;

/** It never listens: connections are given to it. */
const http2 = createServer();
http2.on("session", (session) => session.on("error", () => {}));
http2.on("stream", answer);

/**
 * Tells a client in the protocol that it speaks that it has to speak TLS, and closes the connection when the client has
 * what was sent. A client that does not let go, or asks nothing, is for the caller to cut off.
 */
export function refusePlainText(socket: Socket, protocol: "http1" | "http2"): void {
  if (protocol === "http2") {
    http2.emit("connection", socket);
    return;
  }
  socket.end(HTTP1_ANSWER);
  // With bytes that nobody has read the system would reset the connection, and the client may never see the answer.
  socket.resume();
}

/**
 * Answers the first call. A GOAWAY alone, before any call, is what some clients report as a connection that broke:
 * grpc-go says no more than EOF.
 */
function answer(stream: ServerHttp2Stream, headers: { readonly "content-type"?: string | undefined }): void {
  stream.on("error", () => {});
  // Reset together with its request: those bytes have been read in one go.
  if (stream.destroyed || stream.closed) return;
  if (headers["content-type"]?.startsWith("application/grpc")) {
    stream.respond(GRPC_ANSWER, { endStream: true });
  } else {
    stream.respond(HTTP_ANSWER);
    stream.end(HTTP_BODY);
  }
  const { session } = stream;
  // Not before: node:http2, as a client, breaks its open calls at a GOAWAY with an error.
  stream.once("close", () => {
    if (session === undefined || session.destroyed) return;
    session.goaway(constants.NGHTTP2_INADEQUATE_SECURITY, stream.id, Buffer.from("TLS required"));
    session.close();
  });
}
