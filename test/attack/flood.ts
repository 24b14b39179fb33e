import { once } from "node:events";
import { type FrameConnection, type FrameConnectionOptions, openSession } from "./frame-connection.ts";

/** How much of a flood is sent at a time. */
const CHUNK_BYTES = 16 * 1024;

/** A flood of frames. */
export interface Flood {
  /** How many connections there are at a time. */
  readonly connections: number;
  /** How long it goes on. Who is cut off comes again. */
  readonly seconds: number;
  /** What goes before the frames of each connection. */
  readonly first?: Uint8Array;
  /** The next frames of a connection, which went through so many rounds before. */
  readonly round: (index: number) => Uint8Array;
  /** Whether the attackers read what the server says; true unless told. */
  readonly reads?: boolean;
  /** How much longer those go on who have not been cut off, and how long they wait then, in milliseconds. */
  readonly patienceMs: number;
}

/** What has become of a flood. */
export interface Aftermath {
  readonly connections: readonly FrameConnection[];
  /** How many rounds were sent, over all connections. */
  readonly rounds: number;
}

/** Floods a server, with each connection as fast as the server takes it. */
export async function flood(port: number, plan: Flood): Promise<Aftermath> {
  const until = performance.now() + plan.seconds * 1000;
  const attackers = await Promise.all(Array.from({ length: plan.connections }, () => attackUntil(until, port, plan)));
  const latest = attackers.flatMap(({ connections }) => connections.slice(-1));
  await allClosed(latest, plan.patienceMs);
  return {
    connections: attackers.flatMap(({ connections }) => connections),
    rounds: attackers.reduce((sum, { rounds }) => sum + rounds, 0),
  };
}

/** Opens sessions side by side. */
export function openSessions(
  port: number,
  count: number,
  options?: FrameConnectionOptions,
): Promise<FrameConnection[]> {
  return Promise.all(Array.from({ length: count }, () => openSession(port, options)));
}

/** Waits until the server has closed all connections, or the time is over. What was not read is read at last. */
export async function allClosed(connections: readonly FrameConnection[], patienceMs: number): Promise<void> {
  for (const { socket } of connections) socket.resume();
  const patience = once(AbortSignal.timeout(patienceMs), "abort");
  await Promise.race([Promise.all(connections.map(({ closed }) => closed)), patience]);
}

/** How the server has ended connections: how many in which way, and after how long at the latest. */
export function summarize(connections: readonly FrameConnection[]): string {
  const counts = new Map<string, number>();
  for (const { ending } of connections) counts.set(ending, (counts.get(ending) ?? 0) + 1);
  const endings = [...counts].map(([ending, count]) => `${count} x ${ending}`).join("; ");
  const resets = new Map<string, number>();
  for (const connection of connections)
    for (const [code, count] of connection.resets) resets.set(code, (resets.get(code) ?? 0) + count);
  const reset = [...resets].map(([code, count]) => `; ${count} x RST_STREAM ${code}`).join("");
  const closed = connections.flatMap(({ closedAfterMs }) => closedAfterMs ?? []);
  const after = closed.length === 0 ? "" : `, after ${Math.round(Math.max(...closed))} ms at the latest`;
  return `${endings}${after}${reset}`;
}

async function attackUntil(until: number, port: number, plan: Flood): Promise<Aftermath> {
  const connections: FrameConnection[] = [];
  let rounds = 0;
  do {
    const connection = await openSession(port, { reads: plan.reads ?? true });
    connections.push(connection);
    if (plan.first !== undefined) await connection.write(plan.first);
    rounds += await floodConnection(until + plan.patienceMs, connection, plan.round);
  } while (performance.now() < until);
  return { connections, rounds };
}

async function floodConnection(
  until: number,
  connection: FrameConnection,
  round: (index: number) => Uint8Array,
): Promise<number> {
  let index = 0;
  while (connection.isOpen && performance.now() < until) {
    const frames: Uint8Array[] = [];
    for (let bytes = 0; bytes < CHUNK_BYTES; index++) {
      const next = round(index);
      frames.push(next);
      bytes += next.length;
    }
    await connection.write(Buffer.concat(frames), Math.max(1, until - performance.now()));
    // Where nothing has to be waited for, the answers of the server still have to be heard.
    await new Promise(setImmediate);
  }
  return index;
}
