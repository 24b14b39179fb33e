import { setImmediate, setTimeout } from "node:timers/promises";
import type { Connection } from "./connection.ts";

/** How often the database is asked whether it is there, and how long it may take to say so, in milliseconds. */
const BEAT_MS = 500;
const SILENCE_MS = 1000;
/** How soon the next attempt follows on one that has failed. */
const RETRY_MS = 250;

/** What a heartbeat needs, and whom it tells. */
export interface HeartbeatParts {
  /** Opens a connection, or fails within about a second. */
  connect(): Promise<Connection>;
  /** Does what must be done before the database can be used. It is given up when the signal is aborted. */
  prepare(connection: Connection, signal: AbortSignal): Promise<void>;
  /** Called when the database can be used, and could not before. */
  onFound(): void;
  /** Called when the database cannot be used, each time that this is tried. */
  onLost(cause: unknown): void;
}

/** The database did not answer in time. */
class SilenceError extends Error {
  override readonly name = "SilenceError";

  constructor() {
    super(`the database has not answered for ${SILENCE_MS} ms`);
  }
}

/**
 * Watches the database over a connection of its own, until the signal is aborted. A database that answers no more,
 * though its connections stand, is found lost within BEAT_MS + SILENCE_MS; one that has closed the connection, and
 * takes no other, at once.
 */
export async function keepHeartbeat(parts: HeartbeatParts, signal: AbortSignal): Promise<void> {
  let up = false;
  const lose = (cause: unknown): void => {
    up = false;
    if (!signal.aborted) parts.onLost(cause);
  };
  while (!signal.aborted) {
    const connection = await parts.connect().catch(lose);
    if (connection === undefined) {
      await pause(RETRY_MS, signal);
      continue;
    }
    let prepared = false;
    const attempt = new AbortController();
    const beating = keepBeating(connection, signal);
    try {
      // To prepare may mean to wait for others, as long as it takes; but not for a database that has fallen silent.
      await Promise.race([parts.prepare(connection, attempt.signal), beating]);
      prepared = true;
      if (signal.aborted) return;
      if (!up) parts.onFound();
      up = true;
      await beating;
    } catch (error) {
      // A connection may break while the database is well: the next attempt to connect will tell.
      if (!prepared || error instanceof SilenceError) lose(error);
      if (!up) await pause(RETRY_MS, signal);
    } finally {
      attempt.abort();
      connection.cut();
    }
  }
}

/** Asks the database for signs of life until the signal is aborted; fails when there are none. */
async function keepBeating(connection: Connection, signal: AbortSignal): Promise<void> {
  while (await pause(BEAT_MS, signal)) await beat(connection);
}

/** Asks the database for a sign of life. */
async function beat(connection: Connection): Promise<void> {
  let answered = false;
  const answer = connection.query("SELECT").then(() => {
    answered = true;
  });
  const silence = setTimeout(SILENCE_MS, undefined, { ref: false }).then(async () => {
    // Where this process itself was busy, the answer may lie waiting.
    await setImmediate();
    await setImmediate();
    if (!answered) throw new SilenceError();
  });
  await Promise.race([answer, silence]);
}

/** Waits; tells whether the signal is not aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  await setTimeout(ms, undefined, { signal, ref: false }).catch(() => {});
  return !signal.aborted;
}
