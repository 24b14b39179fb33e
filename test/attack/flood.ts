import { once } from "node:events";
import { type FrameConnection, type FrameConnectionOptions, openSession } from "./frame-connection.ts";

/** How much of a flood is sent at a time. */
const CHUNK_BYTES = 16 * 1024;

/** Opens sessions side by side. */
export function openSessions(
  port: number,
  count: number,
  options?: FrameConnectionOptions,
): Promise<FrameConnection[]> {
  return Promise.all(Array.from({ length: count }, () => openSession(port, options)));
}

/**
 * Sends rounds of frames over each connection, as fast as the server takes them, until it closes the connection or the time
 * is over, and counts them. `round` makes the next frames of a connection, of which it knows how many rounds went before.
 */
export async function flood(
  connections: readonly FrameConnection[],
  seconds: number,
  round: (index: number) => Uint8Array,
): Promise<number> {
  const until = performance.now() + seconds * 1000;
  const counts = connections.map(async (connection) => {
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
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
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
  const reset = [...resets].map(([code, count]) => `, ${count} RST_STREAM ${code}`).join("");
  const closed = connections.flatMap(({ closedAfterMs }) => closedAfterMs ?? []);
  const after = closed.length === 0 ? "" : `, after ${Math.round(Math.max(...closed))} ms at the latest`;
  return `${endings}${reset}${after}`;
}
