import { type ConnectionOptions, connect } from "node:tls";

/** What became of a handshake. */
export interface Handshake {
  /** The version of TLS, such as `TLSv1.3`; undefined if there is no connection. */
  readonly protocol?: string | null;
  /** What the server said first, over a connection that is secure. */
  readonly said?: string;
  /** Why there is no connection: a code, or `closed`. */
  readonly failure?: string;
}

/**
 * Connects to a port of this machine as an HTTP/2 client does, and waits until the server says something or the connection
 * is gone: with TLS 1.3 a client learns after its handshake that it is refused.
 */
export function shakeHands(port: number, options: ConnectionOptions): Promise<Handshake> {
  const socket = connect({ host: "127.0.0.1", port, servername: "localhost", ALPNProtocols: ["h2"], ...options });
  return new Promise((resolve) => {
    let failure = "closed";
    socket.on("error", (error: NodeJS.ErrnoException) => {
      failure = error.code ?? error.message;
    });
    socket.once("data", (bytes: Buffer) => {
      resolve({ protocol: socket.getProtocol(), said: bytes.toString("latin1") });
      socket.destroy();
    });
    socket.on("close", () => resolve({ failure }));
  });
}
