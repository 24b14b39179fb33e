import type { Socket } from "node:net";
import type { Logger } from "pino";
import type { Config } from "./config.ts";
import type { ConnectionGuard } from "./grpc/connection-guard.ts";
import { type Listener, listen } from "./grpc/listener.ts";
import { serveTls } from "./grpc/tls.ts";

/** Who takes connections over that have come in, and are secure if they are to be. */
export interface Hosts {
  readonly grpc: (socket: Socket) => void;
  /** Undefined if there is no gateway. */
  readonly http: ((socket: Socket) => void) | undefined;
}

/** The ports of a server. */
export interface Entrances {
  readonly port: number;
  /** Undefined if there is no gateway. */
  readonly httpPort: number | undefined;
  /** Stops listening. Connections stay, but for those that have not finished their handshake. */
  close(): void;
}

/**
 * Opens the ports that are configured. Who connects meets the guard first, and then TLS.
 *
 * @throws ListenError if a port cannot be opened. None is open then.
 */
export async function openEntrances(
  { host, port, gateway, tls: secured }: Config,
  guard: ConnectionGuard,
  hosts: Hosts,
  logger: Logger,
): Promise<Entrances> {
  const listeners: Listener[] = [];
  const tls = secured && serveTls(secured, logger);
  const toGrpc = tls?.entrance(["h2"], hosts.grpc) ?? hosts.grpc;
  const close = (): void => {
    for (const listener of listeners) listener.close();
    tls?.close();
  };
  const open = async (at: number, readsLater: boolean, accept: (socket: Socket) => void): Promise<number> => {
    const listener = await listen(host, at, { readsLater, accept, acceptFailed: () => guard.acceptFailed() });
    listeners.push(listener);
    return listener.port;
  };

  try {
    const opened = await open(port, true, (socket) =>
      guard.admit(socket, () => {
        socket.read(0);
        toGrpc(socket);
      }),
    );
    if (gateway === undefined || hosts.http === undefined) return { port: opened, httpPort: undefined, close };
    const toHttp = tls?.entrance(["h2", "http/1.1"], hosts.http) ?? hosts.http;
    const httpPort = await open(gateway.port, false, (socket) => {
      if (guard.count.admit(socket)) toHttp(socket);
    });
    return { port: opened, httpPort, close };
  } catch (error) {
    close();
    throw error;
  }
}
