import { setTimeout } from "node:timers/promises";
import type { Server } from "@grpc/grpc-js";
import { ServerStoppingError } from "./errors.ts";
import type { Health } from "./health.ts";
import type { LiveStreams } from "./live-streams.ts";

/** What has a part in a graceful stop. */
export interface StoppableParts {
  readonly entrances: {
    /** Stops listening. Connections stay. */
    close(): void;
  };
  readonly server: Server;
  readonly connections: {
    /** Tells every peer to go away (GOAWAY). */
    retire(): void;
    /** Closes each connection that has called when no call is open on it, and resolves when none at all is left. */
    gone(): Promise<void>;
  };
  readonly health: Health;
  readonly live: LiveStreams;
  /** What hands on calls of other protocols; undefined if nothing does. */
  readonly gateway:
    | {
        /** Refuses the calls that come from now on. */
        drain(): void;
        /** Resolves when the answers to all others have been handed to their sockets. */
        idle(): Promise<void>;
        close(): void;
      }
    | undefined;
  readonly calls: {
    /** Resolves when no call is open. */
    idle(): Promise<void>;
    /** Ends the calls that are open. */
    end(reason: Error): void;
  };
}

/** How long a stop takes. */
export interface StopTimes {
  /** Milliseconds between the news that the server stops and the end of its listening: load balancers need them. */
  readonly delayMs: number;
  /** Milliseconds that open calls then have to finish. */
  readonly timeoutMs: number;
}

/**
 * How long connections have to close after the last call, in milliseconds: the statuses under way arrive, but nobody
 * waits for a client that has its status and yet goes on sending.
 */
const LAST_WORDS_MS = 250;

/**
 * Stops a server so that no client sees an error that a retry would not mend: says NOT_SERVING, waits, stops listening
 * and tells every connection to go away (GOAWAY), ends live streams with UNAVAILABLE, lets other calls finish, ends
 * those that do not in time with UNAVAILABLE too, and closes what is left.
 */
export async function stopGracefully(parts: StoppableParts, { delayMs, timeoutMs }: StopTimes): Promise<void> {
  const { entrances, server, connections, gateway, health, live, calls } = parts;
  health.set("NOT_SERVING");
  await setTimeout(delayMs);

  entrances.close();
  connections.retire();
  gateway?.drain();
  live.stop(new ServerStoppingError());
  await Promise.race([calls.idle(), setTimeout(timeoutMs, undefined, { ref: false })]);

  calls.end(new ServerStoppingError());
  // Not before: without PINGs, nobody could tell a cut stream from a complete one. The callback says nothing, since
  // grpc-js does not wait for connections that it did not accept itself.
  server.tryShutdown(() => {});
  const told = Promise.all([connections.gone(), gateway?.idle()]);
  await Promise.race([told, setTimeout(LAST_WORDS_MS, undefined, { ref: false })]);
  gateway?.close();
  server.forceShutdown();
}
