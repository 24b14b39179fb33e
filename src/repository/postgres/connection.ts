import { Socket } from "node:net";
import pg from "pg";

/** The parts of a pg.Client and a pg.Connection that a CancelRequest needs, and that their types leave out. */
interface Backend {
  readonly processID: number;
  readonly secretKey: number;
}
interface CancelConnection extends pg.Connection {
  connect(port: number, host: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
}

/** Revisions and times stay far below 2^53, up to which numbers are exact. */
const TYPES: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    oid === pg.types.builtins.INT8 && format !== "binary" ? Number : pg.types.getTypeParser(oid, format),
};

/** What keeps connections that are used no more from staying for ever, in milliseconds. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 5000;
const KEEP_ALIVE_DELAY_MS = 10_000;

/** A connection to PostgreSQL that sends statements without waiting for the answers to those before. */
export class Connection extends pg.Client {
  readonly #socket: Socket;
  #statementTimeoutMs: number | undefined;

  constructor(config: pg.ClientConfig) {
    const socket = new Socket();
    super({
      ...config,
      application_name: "user-service",
      pipeline: true,
      types: TYPES,
      stream: () => socket,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    });
    this.#socket = socket;
    // Whoever waits for a statement hears of a broken connection by its failure. An error without a listener would end the process.
    this.on("error", () => {});
  }

  /** Has PostgreSQL stop every later statement that takes longer. */
  limitStatements(timeoutMs: number): void {
    if (timeoutMs === this.#statementTimeoutMs) return;
    this.#statementTimeoutMs = timeoutMs;
    // If this fails, so does the statement that is sent next.
    this.query(`SET statement_timeout = ${timeoutMs}`).catch(() => {});
  }

  /**
   * Asks PostgreSQL to stop the statement that it is executing for this connection (CancelRequest), and tells whether the
   * request has been delivered, in time. If so, it hits no statement that is sent from now on.
   */
  cancelStatement(timeoutMs: number): Promise<boolean> {
    const { processID, secretKey } = this as unknown as Backend;
    const { ssl } = this as unknown as { ssl: boolean | object };
    const messenger = new pg.Connection({ ssl } as pg.ConnectionConfig) as CancelConnection;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const giveUp = (): void => {
      resolve(false);
      messenger.stream.destroy();
    };
    const timer = setTimeout(giveUp, timeoutMs);
    messenger.on("connect", () => (ssl ? messenger.requestSsl() : messenger.cancel(processID, secretKey)));
    messenger.on("sslconnect", () => messenger.cancel(processID, secretKey));
    messenger.on("error", giveUp);
    // PostgreSQL answers by closing the connection, once it has sent the signal.
    messenger.on("end", () => {
      clearTimeout(timer);
      resolve(true);
    });
    messenger.connect(this.port, this.host);
    return promise;
  }

  /** Breaks the connection at once, whatever it is waiting for. A transaction that has not committed never will. */
  cut(): void {
    this.#socket.destroy();
  }
}
