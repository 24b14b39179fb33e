import { Socket } from "node:net";
import pg from "pg";

/** The parts of a pg.Client and a pg.Connection that a CancelRequest needs, and that their types leave out. */
interface Backend {
  readonly processID: number;
  readonly secretKey: number;
}
interface CancelConnection extends pg.Connection {
  connect(port: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
}

/** Revisions and times stay far below 2^53, up to which numbers are exact. */
const TYPES: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    oid === pg.types.builtins.INT8 && format !== "binary" ? Number : pg.types.getTypeParser(oid, format),
};

const KEEP_ALIVE_DELAY_MS = 10_000;

/**
 * The isolation that the statements are written for, and what the server does for connections whose service has
 * vanished: it ends transactions in which nothing happens, and stops statements whose connection is broken (where the
 * system of the server can tell; elsewhere the setting is refused).
 */
const SETTINGS = [
  "SET default_transaction_isolation = 'read committed'",
  "SET idle_in_transaction_session_timeout = 5000",
  "SET client_connection_check_interval = 1000",
];

/** A connection to PostgreSQL that sends statements without waiting for the answers to those before. */
export class Connection extends pg.Client {
  readonly #socket: Socket;
  /** Undefined if the server may have another than it has last been told. */
  #statementTimeoutMs: number | undefined;
  #limited: Promise<void> = Promise.resolve();

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
    });
    this.#socket = socket;
    // Whoever waits for a statement hears of a broken connection by its failure. An error without a listener would end
    // the process.
    this.on("error", () => {});
    socket.on("error", () => {});
    this.once("connect", () => {
      for (const setting of SETTINGS) this.query(setting).catch(() => {});
    });
  }

  /** Connects. A connection that fails is cut: `pg` leaves it open where it is itself that refuses. */
  override connect(): Promise<pg.Client & this>;
  override connect(callback: (error?: Error) => void): void;
  override connect(callback?: (error?: Error) => void): Promise<pg.Client & this> | undefined {
    const connected = super.connect().then(
      () => this as pg.Client & this,
      (error: unknown) => {
        this.cut();
        throw error;
      },
    );
    if (callback === undefined) return connected;
    connected.then(() => callback(), callback);
    return undefined;
  }

  /**
   * Has PostgreSQL stop every later statement that takes longer. Resolves when it has answered: a request to cancel
   * that comes earlier may hit this instead of what follows it.
   */
  limitStatements(timeoutMs: number): Promise<void> {
    if (timeoutMs !== this.#statementTimeoutMs) {
      this.#statementTimeoutMs = timeoutMs;
      const forget = (): void => {
        this.#statementTimeoutMs = undefined;
      };
      this.#limited = this.query(`SET statement_timeout = ${timeoutMs}`).then(() => {}, forget);
    }
    return this.#limited;
  }

  /**
   * Asks PostgreSQL to stop the statement that it is executing for this connection (CancelRequest), and tells whether
   * the request has been delivered, in time. If so, it hits no statement that is sent from now on.
   */
  cancelStatement(timeoutMs: number): Promise<boolean> {
    const { processID, secretKey } = this as unknown as Backend;
    // What pg has made of the connection string.
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
    if (this.host.startsWith("/")) messenger.connect(`${this.host}/.s.PGSQL.${this.port}`);
    else messenger.connect(this.port, this.host);
    return promise;
  }

  /** Breaks the connection at once, whatever it is waiting for. A transaction that has not committed never will. */
  cut(): void {
    this.#socket.destroy();
  }
}

/** Says whether a text is the URL of a database that can be connected to, as far as the URL tells. */
export function isDatabaseUrl(text: string): boolean {
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text)) return false;
  try {
    const { port } = new Connection({ connectionString: text });
    return port > 0 && port < 65_536;
  } catch {
    return false;
  }
}
