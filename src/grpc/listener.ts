import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { type AddressInfo, createServer, isIP, type Server, type Socket } from "node:net";

/** The server cannot listen where it is told to. */
export class ListenError extends Error {
  override readonly name = "ListenError";

  constructor(address: string, cause: Error) {
    super(`cannot listen on ${address}: ${cause.message}`, { cause });
  }
}

/** What becomes of those who connect. */
export interface Reception {
  /**
   * Whether nothing is read from a new connection before `socket.read(0)`. What has been read before HTTP/2 takes a
   * connection over is handled in one go: a stream could be gone before grpc-js sees it, and grpc-js throws then.
   */
  readonly readsLater?: boolean;
  /** Takes a new connection over. */
  accept(socket: Socket): void;
  /**
   * Is told that connections could not be accepted, as when the process is out of file descriptors. Listening goes on.
   */
  acceptFailed(error: Error): void;
}

/** Something that listens. */
export interface Listener {
  readonly port: number;
  /** Stops listening. Connections stay. */
  close(): void;
}

/** A machine without IPv6 may still have a name for its IPv6 address. */
const NOT_HERE: ReadonlySet<unknown> = new Set(["EADDRNOTAVAIL", "EAFNOSUPPORT"]);

/**
 * Listens on a port of every address of a host; port 0 takes a free one. `::` means IPv4 too. Addresses that this
 * machine lacks are left out, if it has another.
 *
 * @throws ListenError with the reason that the system gives.
 */
export async function listen(host: string, port: number, reception: Reception): Promise<Listener> {
  const servers: Server[] = [];
  const close = (): void => {
    for (const server of servers) server.close();
  };
  let failure: Error | undefined;
  let bound = port;
  try {
    for (const address of await addressesOf(host)) {
      const server = createServer({ pauseOnConnect: reception.readsLater ?? false }, (socket) =>
        reception.accept(socket),
      );
      try {
        await once(server.listen(bound, address), "listening");
      } catch (error) {
        if (!NOT_HERE.has((error as NodeJS.ErrnoException).code)) throw error;
        failure = error as Error;
        continue;
      }
      servers.push(server);
      server.on("error", reception.acceptFailed);
      bound = (server.address() as AddressInfo).port;
    }
    if (failure !== undefined && servers.length === 0) throw failure;
  } catch (error) {
    close();
    throw new ListenError(toAddress(host, port), error as Error);
  }
  return { port: bound, close };
}

/** A host and a port as one address, as gRPC writes it: an IPv6 address in brackets. */
export function toAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

async function addressesOf(host: string): Promise<Iterable<string>> {
  if (isIP(host) > 0) return [host];
  const found = await lookup(host, { all: true });
  return new Set(found.map(({ address }) => address));
}
