import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { onTestFinished } from "vitest";
import { ADMIN, tokenFor } from "../support/server.ts";
import type { ServerProcess } from "../support/server-process.ts";

/** What a client takes in without reading, in bytes: the initial window of HTTP/2. */
export const WINDOW = 65_535;
const MIB = 2 ** 20;

/** What a server needs that is to answer as many PINGs as these clients send to know how far it is. */
export const PATIENCE = { MAX_CONTROL_FRAMES: "0" };

/** By how many MiB the memory of a server grows by what clients do. They are disconnected afterwards. */
export async function growthOf(
  server: ServerProcess,
  act: () => Promise<readonly StallingClient[]>,
): Promise<{ resident: number; inUse: number }> {
  // In this order, what is garbage counts for the growth, and not for what was there before.
  const inUseBefore = await server.memoryInUse();
  const residentBefore = await server.residentMemory();
  const clients = await act();
  const resident = ((await server.residentMemory()) - residentBefore) / MIB;
  const inUse = ((await server.memoryInUse()) - inUseBefore) / MIB;
  disconnect(clients);
  return { resident, inUse };
}

/** A client on a connection of its own. */
export interface StallingClient {
  readonly session: ClientHttp2Session;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Connects clients, each on a connection of its own. They are disconnected after the test. */
export async function startClients(port: number, count: number): Promise<StallingClient[]> {
  const metadata = { authorization: `Bearer ${await tokenFor(ADMIN)}` };
  const clients = Array.from({ length: count }, () => ({ session: connect(`http://127.0.0.1:${port}`), metadata }));
  onTestFinished(() => disconnect(clients));
  await Promise.all(clients.map(({ session }) => once(session, "connect")));
  return clients;
}

/** Ends the connections, with all calls of them. */
export function disconnect(clients: readonly StallingClient[]): void {
  for (const { session } of clients) session.destroy();
}

/** Waits until a client that does not read holds all that its window admits, and the server has had time for more. */
export async function stalled({ session }: StallingClient, stream: ClientHttp2Stream): Promise<void> {
  while (stream.readableLength < WINDOW) await roundTrip(session);
  await waitAWhile(session);
}

/** Gives the server time to do what it can. */
export async function waitAWhile(session: ClientHttp2Session): Promise<void> {
  for (let count = 0; count < 100; count++) await roundTrip(session);
}

function roundTrip(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    session.ping((error) => (error ? reject(error) : resolve()));
  });
}
