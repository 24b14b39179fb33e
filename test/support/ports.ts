import { once } from "node:events";
import { createServer } from "node:net";

/** Below what Linux gives to connections that somebody opens, so that nobody takes a port between two servers of a test. */
const FIRST_PORT = 16_000;
const LAST_PORT = 32_000;

/** A port that is free, and on which a server can listen, stop, and listen again. */
export async function lastingPort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    const server = createServer();
    try {
      await once(server.listen(port, "127.0.0.1"), "listening");
      return port;
    } catch {
      // Somebody has it.
    } finally {
      server.close();
    }
  }
}
