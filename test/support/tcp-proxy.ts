import { once } from "node:events";
import { type AddressInfo, createServer, type Server, Socket } from "node:net";
import { onTestFinished } from "vitest";

/** A message of PostgreSQL's protocol that comes from a client. */
export interface ClientMessage {
  /** Which connection it comes over: they are counted from 1. */
  readonly connection: number;
  /** The letter of its type; `start-up` or `CancelRequest` for what a connection begins with, which has none. */
  readonly type: string;
  /** Its content, byte by byte. */
  readonly text: string;
}

/**
 * What becomes of a message, and of its connection:
 * - `pass`: it goes on to the server.
 * - `cut`: it does not, and the connection breaks.
 * - `cut at the answer`: it goes on, but when the answer comes the connection breaks instead.
 * - `hold`: it waits, with all that follows on the connection, until it is released.
 * - `refuse`: it is answered as by a server that is starting up, which then closes the connection.
 */
export type Verdict = "pass" | "cut" | "cut at the answer" | "hold" | "refuse";

/** Starts a proxy before the PostgreSQL server of a URL. It is closed after the test, with all its connections. */
export async function startTcpProxy(databaseUrl: string): Promise<TcpProxy> {
  const proxy = new TcpProxy(databaseUrl);
  onTestFinished(() => proxy.close());
  await proxy.listen();
  return proxy;
}

/** A TCP proxy that knows enough of PostgreSQL's protocol to break a connection at a certain message. */
export class TcpProxy {
  /** Is asked what becomes of each message. */
  judge: (message: ClientMessage) => Verdict = () => "pass";
  readonly #target: URL;
  readonly #links = new Set<Link>();
  #server: Server | undefined;
  #port = 0;
  #connections = 0;

  constructor(databaseUrl: string) {
    this.#target = new URL(databaseUrl);
  }

  /** Where the database is found behind the proxy. */
  get url(): string {
    return Object.assign(new URL(this.#target), { host: `127.0.0.1:${this.#port}` }).href;
  }

  /** How many connections there have been. */
  get connections(): number {
    return this.#connections;
  }

  /** Takes connections, on the same port every time. */
  async listen(): Promise<void> {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#link(client));
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Takes no connection any more: the port is closed. Connections that are open stay. */
  refuse(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  /** Lets go on what is held. */
  release(): void {
    for (const link of this.#links) link.release();
  }

  close(): void {
    this.refuse();
    for (const link of this.#links) link.cut();
  }

  #link(client: Socket): void {
    const connection = ++this.#connections;
    const server = new Socket({ allowHalfOpen: true }).setNoDelay();
    server.connect(Number(this.#target.port), this.#target.hostname);
    const link = new Link(client, server, (message) => this.judge({ ...message, connection }));
    this.#links.add(link);
    client.once("close", () => this.#links.delete(link));
  }
}

/** The number with which a CancelRequest begins, instead of the version of the protocol. */
const CANCEL_REQUEST_CODE = 80_877_102;
const LENGTH_BYTES = 4;

/** FATAL, with the code and the message of a server that is starting up. */
const STARTING_UP = Buffer.from("SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0");

/** The connection of a client, and the one to the server that belongs to it. */
class Link {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #judge: (message: Omit<ClientMessage, "connection">) => Verdict;
  #received = Buffer.alloc(0);
  #started = false;
  #held: Buffer | undefined;
  #cutsAtAnswer = false;

  constructor(client: Socket, server: Socket, judge: (message: Omit<ClientMessage, "connection">) => Verdict) {
    this.#client = client;
    this.#server = server;
    this.#judge = judge;
    client.on("data", (bytes: Buffer) => this.#onClientBytes(bytes));
    server.on("data", (bytes: Buffer) => (this.#cutsAtAnswer ? this.cut() : client.write(bytes)));
    passEnd(client, server);
    passEnd(server, client);
  }

  cut(): void {
    this.#client.destroy();
    this.#server.destroy();
  }

  release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return;
    this.#server.write(held);
    this.#onClientBytes(Buffer.alloc(0));
  }

  #onClientBytes(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    while (this.#held === undefined) {
      const message = this.#takeMessage();
      if (message === undefined) return;
      this.#treat(message, this.#judge(this.#toClientMessage(message)));
      this.#started = true;
    }
  }

  #treat(message: Buffer, verdict: Verdict): void {
    this.#cutsAtAnswer ||= verdict === "cut at the answer";
    if (verdict === "cut") this.cut();
    else if (verdict === "refuse") this.#client.end(Buffer.concat([Buffer.from("E"), withLength(STARTING_UP)]));
    else if (verdict === "hold") this.#held = message;
    else this.#server.write(message);
  }

  /** The next message, once all of it is there. */
  #takeMessage(): Buffer | undefined {
    const head = this.#headBytes;
    if (this.#received.length < head) return undefined;
    const length = this.#received.readUInt32BE(head - LENGTH_BYTES) + head - LENGTH_BYTES;
    if (this.#received.length < length) return undefined;
    const message = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return message;
  }

  #toClientMessage(message: Buffer): Omit<ClientMessage, "connection"> {
    const text = message.toString("latin1", this.#headBytes);
    if (this.#started) return { type: message.toString("latin1", 0, 1), text };
    return { type: message.readUInt32BE(LENGTH_BYTES) === CANCEL_REQUEST_CODE ? "CancelRequest" : "start-up", text };
  }

  /** Only after the first message has each a letter before its length. */
  get #headBytes(): number {
    return this.#started ? LENGTH_BYTES + 1 : LENGTH_BYTES;
  }
}

function withLength(content: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(LENGTH_BYTES + content.length);
  return Buffer.concat([length, content]);
}

function passEnd(from: Socket, to: Socket): void {
  // A connection that breaks shows at its other end.
  from.on("error", () => {});
  from.on("end", () => to.end());
  from.on("close", () => to.destroy());
}
