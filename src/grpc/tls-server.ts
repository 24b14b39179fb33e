import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { onBeginning, refusePlainText } from "./plain-text.ts";
import type { TlsIdentity } from "./tls-files.ts";

/** Is told what becomes of handshakes. */
export interface TlsServerEvents {
  /** The client has proven what it must: takes the connection over, which carries plain text from here on. */
  onSecure(socket: TLSSocket): void;
  /**
   * There was no handshake, or it failed; the connection is closed, or about to be. The reason is a code of OpenSSL's or
   * of Node's.
   */
  onFailed(reason: string): void;
}

/**
 * Milliseconds that a client has to begin a handshake, and to finish it. Node's default, two minutes, is an invitation
 * to hold connections.
 */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** What OpenSSL calls plain text. */
const REASONS = { http1: "ERR_SSL_HTTP_REQUEST", http2: "ERR_SSL_WRONG_VERSION_NUMBER" } as const;

/**
 * Does the handshakes of connections that somebody else accepts. Its identity can be replaced while it serves:
 * connections that are open go on as they are, new ones get the new identity. Whether clients need a certificate is
 * settled by the first.
 *
 * It stands before grpc-js, which could do it too: with ServerCredentials nobody would learn why a client was refused,
 * and the certificate provider of grpc-js drops every new connection while the files are away, or the key on disk is
 * not that of the certificate.
 */
export class TlsServer {
  readonly #server: Server;
  readonly #onFailed: (reason: string) => void;
  readonly #timeoutMs: number;

  constructor(
    { context, requiresClientCertificate }: TlsIdentity,
    protocols: readonly string[],
    { onSecure, onFailed }: TlsServerEvents,
    handshakeTimeoutMs = HANDSHAKE_TIMEOUT_MS,
  ) {
    const options = {
      ...context,
      requestCert: requiresClientCertificate,
      rejectUnauthorized: requiresClientCertificate,
      ALPNProtocols: [...protocols],
      handshakeTimeout: handshakeTimeoutMs,
    };
    this.#onFailed = onFailed;
    this.#timeoutMs = handshakeTimeoutMs;
    this.#server = createServer(options, (socket) => {
      // HTTP/2 tells of its own errors. What comes before it listens, or after, must not end the process.
      socket.on("error", () => {});
      onSecure(socket);
    });
    this.#server.on("tlsClientError", (error: NodeJS.ErrnoException, socket) => {
      socket.destroy();
      const reason = reasonOf(error, socket);
      // Whoever goes away in the middle: most often a probe that wants to know whether the port is open.
      if (reason !== "ECONNRESET") onFailed(reason);
    });
  }

  /** Takes a connection over. A client that speaks plain text is told in its own protocol why it is refused. */
  accept(socket: Socket): void {
    let isRefused = false;
    const timer = setTimeout(() => {
      socket.destroy();
      if (!isRefused) this.#onFailed("ERR_TLS_HANDSHAKE_TIMEOUT");
    }, this.#timeoutMs);
    const stopTimer = (): void => clearTimeout(timer);
    socket.on("error", ignore).once("close", stopTimer);
    onBeginning(socket, (beginning) => {
      if (beginning === "tls") {
        stopTimer();
        socket.off("error", ignore).off("close", stopTimer);
        // This is how connections are handed to a node:tls server, see its event "connection".
        this.#server.emit("connection", socket);
      } else {
        isRefused = true;
        this.#onFailed(REASONS[beginning]);
        refusePlainText(socket, beginning);
      }
    });
  }

  /** Meets new connections with another identity. Sessions of the last one are not resumed. */
  replace({ context }: TlsIdentity): void {
    this.#server.setSecureContext(context);
  }
}

function reasonOf(error: NodeJS.ErrnoException, { authorizationError }: TLSSocket): string {
  // Node refuses a certificate by closing the connection: the error says no more than that.
  const refusal: unknown = authorizationError;
  return typeof refusal === "string" ? refusal : (error.code ?? error.message);
}

function ignore(): void {}
