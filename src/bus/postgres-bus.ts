import { setTimeout } from "node:timers/promises";
import { Connection } from "../repository/postgres/connection.ts";
import type { Bus } from "./bus.ts";
import { InProcessBus } from "./in-process-bus.ts";

const LISTEN = "LISTEN user_service";
const NOTIFY = "SELECT pg_notify('user_service', $1)";

/**
 * News is gathered so long before one NOTIFY, in milliseconds: its commit takes a lock that the whole server shares.
 */
const GATHER_MS = 10;
/** PostgreSQL takes up to 7999 bytes in one notification. */
const MAX_PAYLOAD_BYTES = 7999;

/**
 * The connection has so long to give a sign of life before it counts as broken, and then it is made anew. In
 * milliseconds.
 */
const SILENCE_MS = 2000;
const RETRY_MS = 250;
const CONNECT_TIMEOUT_MS = 1000;

/**
 * Everybody is woken once in so many milliseconds though nothing has been heard, while the connection stands and while
 * it does not: some topics each POLL_MS. Where there are very many, a round takes longer.
 */
const ROUND_MS = 5000;
const ROUND_ALONE_MS = 1000;
const POLL_MS = 250;
const MAX_POLLED = 100;

/**
 * A bus for all processes that use a PostgreSQL database (LISTEN and NOTIFY), over a connection of its own. From time
 * to time, and more often while that is broken, it wakes everybody to look for themselves, so that a lost notification
 * costs no more than that time.
 */
export class PostgresBus implements Bus {
  readonly #url: string;
  readonly #here = new InProcessBus();
  /** What the other processes have not been told. */
  readonly #news = new Set<string>();
  readonly #closing = new AbortController();
  readonly #running: Promise<unknown>;
  #connection: Connection | undefined;

  constructor(url: string) {
    this.#url = url;
    this.#running = Promise.all([this.#run(), this.#poll()]);
  }

  publish(topic: string): void {
    this.#here.publish(topic);
    if (this.#news.size === 0) void this.#pause(GATHER_MS).then(() => this.#tell());
    this.#news.add(topic);
  }

  follow(topic: string, wake: () => void): () => void {
    return this.#here.follow(topic, wake);
  }

  /** Breaks the connection. From now on, news stay in this process. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#connection?.cut();
    await this.#running;
  }

  #tell(): void {
    const payloads = toPayloads(this.#news);
    this.#news.clear();
    // What cannot be sent, the others find when they look for themselves.
    for (const payload of payloads) this.#connection?.query(NOTIFY, [payload]).catch(() => {});
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const connection = await this.#connect();
      if (connection !== undefined) await this.#stay(connection);
      await this.#pause(RETRY_MS);
    }
  }

  async #poll(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const round = this.#connection === undefined ? ROUND_ALONE_MS : ROUND_MS;
      this.#here.publishNext(Math.min(Math.ceil((this.#here.size * POLL_MS) / round), MAX_POLLED));
      await this.#pause(POLL_MS);
    }
  }

  async #connect(): Promise<Connection | undefined> {
    const connection = new Connection({ connectionString: this.#url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
    // The types of pg leave it out.
    const own = () => (connection as unknown as { readonly processID: number }).processID;
    connection.on("notification", ({ processId, payload = "" }) => {
      if (processId !== own()) for (const topic of fromPayload(payload)) this.#here.publish(topic);
    });
    let listening = false;
    const attempt = connection.connect().then(async () => {
      await connection.query(LISTEN);
      listening = true;
    });
    // The store says what is wrong with the database, which may also say nothing at all.
    await Promise.race([attempt.catch(() => {}), this.#pause(CONNECT_TIMEOUT_MS)]);
    if (listening && !this.#closing.signal.aborted) return connection;
    connection.cut();
    return undefined;
  }

  /** Uses a connection until it is broken. */
  async #stay(connection: Connection): Promise<void> {
    this.#connection = connection;
    let broken = false;
    // Not events.once(), which fails where "error" comes before.
    const end = new Promise<void>((resolve) => {
      connection.once("end", () => {
        broken = true;
        resolve();
      });
    });
    // What came before LISTEN has not been heard.
    this.#here.publishNext(this.#here.size);
    while (!broken && !this.#closing.signal.aborted) {
      let alive = false;
      connection.query("SELECT").then(
        () => {
          alive = true;
        },
        () => {},
      );
      await Promise.race([end, this.#pause(SILENCE_MS)]);
      if (!alive) broken = true;
    }
    this.#connection = undefined;
    connection.cut();
    // Whoever waits for the database learns now if that is lost too.
    this.#here.publishNext(this.#here.size);
  }

  #pause(ms: number): Promise<void> {
    return setTimeout(ms, undefined, { signal: this.#closing.signal, ref: false }).catch(() => {});
  }
}

/** Topics in as few notifications as they fit into. */
function toPayloads(topics: Iterable<string>): string[] {
  const payloads: string[] = [];
  let gathered: string[] = [];
  let bytes = 0;
  for (const topic of topics) {
    const size = Buffer.byteLength(JSON.stringify(topic)) + 1;
    if (bytes + size >= MAX_PAYLOAD_BYTES) {
      payloads.push(JSON.stringify(gathered));
      gathered = [];
      bytes = 0;
    }
    gathered.push(topic);
    bytes += size;
  }
  if (gathered.length > 0) payloads.push(JSON.stringify(gathered));
  return payloads;
}

/** The topics of a notification; none of one that somebody else has sent. */
function fromPayload(payload: string): string[] {
  try {
    const topics: unknown = JSON.parse(payload);
    return Array.isArray(topics) ? topics.filter((topic) => typeof topic === "string") : [];
  } catch {
    return [];
  }
}
