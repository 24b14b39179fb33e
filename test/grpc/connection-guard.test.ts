import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { Client, credentials, status } from "@grpc/grpc-js";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { failureOf } from "../support/errors.ts";
import { callFields, FLAG, frameOf, literalBlock, PREFACE, TYPE } from "../support/http2-frames.ts";
import { probeClient, startProbe } from "../support/probe.ts";
import { openRawConnection } from "../support/raw-connection.ts";
import type { TestServer } from "../support/server.ts";

const UNKNOWN_METHOD = literalBlock(callFields("/probe.v1.ProbeService/Nothing"));
const SETTINGS_FRAME = frameOf(TYPE.SETTINGS);
/** All that it takes to have called once. */
const ONE_CALL = [
  PREFACE,
  SETTINGS_FRAME,
  frameOf(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, 1, UNKNOWN_METHOD),
];

let dribbling: NodeJS.Timeout | undefined;
afterEach(() => clearInterval(dribbling));

function startWith(environment: Record<string, string>, methods?: Parameters<typeof startProbe>[0]) {
  return startProbe(methods, { environment });
}

/** How many connections of each kind the log says were cut off. */
function cutOff({ logs }: TestServer): unknown[] {
  return logs.texts
    .map((text) => JSON.parse(text) as { msg: string; counts: unknown })
    .filter(({ msg }) => msg === "connections cut off")
    .map(({ counts }) => counts);
}

/** A client that answers PINGs as it should. */
async function openSession(port: number): Promise<ClientHttp2Session> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  await once(session, "connect");
  return session;
}

function callOver(session: ClientHttp2Session, method: string) {
  const stream = session.request({
    ":method": "POST",
    ":path": `/probe.v1.ProbeService/${method}`,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  stream.resume();
  return stream;
}

/** What a client of grpc-js gets. */
async function codeOfCall(address: string): Promise<status | undefined> {
  const client = new Client(address, credentials.createInsecure());
  onTestFinished(() => client.close());
  const same = (bytes: Buffer) => bytes;
  const { promise, resolve } = Promise.withResolvers<status | undefined>();
  client.makeUnaryRequest("/probe.v1.ProbeService/Public", same, same, Buffer.alloc(0), (error) =>
    resolve(error?.code),
  );
  return promise;
}

describe("the number of connections", () => {
  it("is limited for the process: the next is closed, those before go on, and who leaves makes room", async () => {
    const server = await startWith({ MAX_CONNECTIONS: "2" });
    const [first, second] = [await openRawConnection(server.port), await openSession(server.port)];
    await (await openRawConnection(server.port)).closed;
    expect(cutOff(server)).toEqual([{ too_many_connections: 1 }]);
    expect(await codeOfCall(server.address)).toBe(status.UNAVAILABLE);

    await once(callOver(second, "Nothing").end(), "close");
    first.socket.destroy();
    while (server.server.openConnections > 1) await new Promise(setImmediate);
    expect(await probeClient(server).public({ text: "in" })).toMatchObject({ text: "in" });
  });

  it("is limited for an address", async () => {
    const server = await startWith({ MAX_CONNECTIONS_PER_ADDRESS: "1" });
    await openSession(server.port);
    await (await openRawConnection(server.port)).closed;
    expect(cutOff(server)).toEqual([{ too_many_of_address: 1 }]);
  });

  it("is logged once for many that are refused", async () => {
    const server = await startWith({ MAX_CONNECTIONS: "1" });
    await openSession(server.port);
    const refused = await Promise.all(Array.from({ length: 20 }, () => openRawConnection(server.port)));
    await Promise.all(refused.map(({ closed }) => closed));
    expect(cutOff(server)).toEqual([{ too_many_connections: 1 }]);
    await server.server.stop();
    expect(cutOff(server)).toEqual([{ too_many_connections: 1 }, { too_many_connections: 19 }]);
  });
});

describe("a connection that does not call", () => {
  const cases: [string, Buffer[], Buffer?][] = [
    ["says nothing", []],
    ["says half of the preface", [PREFACE.subarray(0, 10)]],
    ["dribbles SETTINGS", [PREFACE, SETTINGS_FRAME], SETTINGS_FRAME],
    ["never ends its headers", [PREFACE, SETTINGS_FRAME, frameOf(TYPE.HEADERS, 0, 1, UNKNOWN_METHOD)]],
    [
      "dribbles headers",
      [PREFACE, SETTINGS_FRAME, frameOf(TYPE.HEADERS, FLAG.END_STREAM, 1, UNKNOWN_METHOD)],
      frameOf(TYPE.CONTINUATION, 0, 1),
    ],
    ["speaks HTTP/1.1", [Buffer.from("GET / HTTP/1.1\r\n\r\n")]],
  ];

  it.each(cases)("is cut off if it %s", async (_name, chunks, drop) => {
    const server = await startWith({ FIRST_REQUEST_TIMEOUT: "20ms" });
    const { socket, closed } = await openRawConnection(server.port, ...chunks);
    if (drop) dribbling = setInterval(() => socket.write(drop), 2);
    await closed;
    expect(server.server.openConnections).toBe(0);
  });

  it("is cut off at once if it sends very much instead", async () => {
    const server = await startWith({ FIRST_REQUEST_TIMEOUT: "5s", KEEPALIVE_TIMEOUT: "100ms" });
    const { socket, closed } = await openRawConnection(server.port, PREFACE, SETTINGS_FRAME);
    const flood = Buffer.concat(Array<Buffer>(50_000).fill(frameOf(TYPE.WINDOW_UPDATE, 0, 0, Buffer.of(0, 0, 0, 1))));
    const pour = (error?: Error | null): void => void (error || socket.write(flood, pour));
    pour();
    await closed;
    expect(cutOff(server)).toEqual([{ bytes_without_call: 1 }]);
  });

  it("stays once it has called, even what does not exist", async () => {
    const server = await startWith({ FIRST_REQUEST_TIMEOUT: "4ms" });
    const called = await openRawConnection(server.port, ...ONE_CALL);
    await called.received(TYPE.HEADERS);
    // Both are looked at in the same moments.
    await (await openRawConnection(server.port)).closed;
    expect(called.socket.closed).toBe(false);
    expect(server.server.openConnections).toBe(1);
  });
});

describe("a connection without calls", () => {
  it("is told to go, and closed", async () => {
    const server = await startWith({ CONNECTION_IDLE_TIMEOUT: "20ms" });
    const session = await openSession(server.port);
    const goaway = once(session, "goaway");
    await once(callOver(session, "Nothing").end(), "close");
    const [code, , words] = await goaway;
    expect([code, String(words)]).toEqual([constants.NGHTTP2_NO_ERROR, "max_idle"]);
    await once(session, "close");
    expect(cutOff(server)).toEqual([]);
  });

  it("is destroyed if its peer does not go", async () => {
    const server = await startWith({ CONNECTION_IDLE_TIMEOUT: "20ms" });
    const { socket, received } = await openRawConnection(server.port, ...ONE_CALL);
    socket.allowHalfOpen = true;
    await received(TYPE.GOAWAY);
    while (server.server.openConnections > 0) await new Promise(setImmediate);
  });

  it("stays while a call is open", async () => {
    const server = await startWith(
      { CONNECTION_IDLE_TIMEOUT: "4ms" },
      {
        async *produce() {
          await new Promise(() => {});
          yield {};
        },
      },
    );
    const session = await openSession(server.port);
    const stream = callOver(session, "Produce");
    const idle = await openSession(server.port);
    callOver(idle, "Nothing").end();
    await once(idle, "close");
    expect([session.closed, stream.closed]).toEqual([false, false]);
  });
});

describe("an old connection", () => {
  it("is told to go, and its calls finish", async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const server = await startWith(
      { MAX_CONNECTION_AGE: "20ms", KEEPALIVE_TIME: "2ms" },
      {
        async public() {
          await released;
          return { text: "finished" };
        },
      },
    );
    const session = await openSession(server.port);
    const stream = callOver(session, "Public");
    stream.end(Buffer.alloc(5));
    let trailers: unknown;
    stream.on("trailers", (received) => {
      trailers = received["grpc-status"];
    });
    const [code, , words] = await once(session, "goaway");
    expect([code, String(words)]).toEqual([constants.NGHTTP2_NO_ERROR, "max_age"]);
    release();
    await once(session, "close");
    expect(trailers).toBe("0");
  });

  it("ends its live streams with UNAVAILABLE", async () => {
    const server = await startWith(
      { MAX_CONNECTION_AGE: "20ms" },
      {
        async *produce() {
          yield { text: "1" };
          await new Promise(() => {});
        },
      },
    );
    const answers = probeClient(server).produce({})[Symbol.asyncIterator]();
    expect((await answers.next()).value).toMatchObject({ text: "1" });
    expect(await failureOf(answers.next())).toMatchObject({ code: "Unavailable", reason: "STREAM_AGED" });
  });
});

describe("a peer that does not answer", () => {
  const KEEPALIVE = { KEEPALIVE_TIME: "8ms", KEEPALIVE_TIMEOUT: "20ms" };

  it("is cut off, and its calls end", async () => {
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const server = await startWith(KEEPALIVE, {
      async *produce(_request, { signal }) {
        signal.addEventListener("abort", () => end());
        yield { text: "1" };
        await ended;
      },
    });
    const headers = literalBlock(callFields("/probe.v1.ProbeService/Produce"));
    const call = [
      frameOf(TYPE.HEADERS, FLAG.END_HEADERS, 1, headers),
      frameOf(TYPE.DATA, FLAG.END_STREAM, 1, Buffer.alloc(5)),
    ];
    const { closed } = await openRawConnection(server.port, PREFACE, SETTINGS_FRAME, ...call);
    await closed;
    await ended;
    expect(cutOff(server)).toEqual([{ keepalive_timeout: 1 }]);
  });

  it("is cut off if it sends headers for ever instead", async () => {
    const server = await startWith(KEEPALIVE);
    const { socket, closed } = await openRawConnection(
      server.port,
      ...ONE_CALL,
      frameOf(TYPE.HEADERS, 0, 3, UNKNOWN_METHOD),
    );
    dribbling = setInterval(() => socket.write(frameOf(TYPE.CONTINUATION, 0, 3)), 5);
    await closed;
  });

  it("stays if it answers", async () => {
    const server = await startWith(KEEPALIVE);
    const session = await openSession(server.port);
    await once(callOver(session, "Nothing").end(), "close");
    // One that does not answer is cut off meanwhile.
    await (await openRawConnection(server.port, ...ONE_CALL)).closed;
    expect(session.closed).toBe(false);
  });
});

describe("frames that move no call", () => {
  const LIMIT = { MAX_CONTROL_FRAMES: "10" };

  const brokenCall = (id: number): Buffer =>
    Buffer.concat([
      frameOf(TYPE.HEADERS, FLAG.END_HEADERS, id, literalBlock(callFields("/probe.v1.ProbeService/Collect"))),
      frameOf(TYPE.RST_STREAM, 0, id, Buffer.of(0, 0, 0, constants.NGHTTP2_INTERNAL_ERROR)),
    ]);

  it.each<[string, (id: number) => Buffer]>([
    ["PING", () => frameOf(TYPE.PING, 0, 0, Buffer.alloc(8))],
    ["SETTINGS", () => SETTINGS_FRAME],
    ["RST_STREAM for no reason of a client", brokenCall],
  ])("end the connection if they are many: %s", async (_name, makeFrame) => {
    const server = await startWith(LIMIT);
    const connection = await openRawConnection(server.port, ...ONE_CALL);
    await connection.received(TYPE.HEADERS);
    connection.socket.write(Buffer.concat(Array.from({ length: 13 }, (_, index) => makeFrame(3 + 2 * index))));
    await connection.closed;
    expect(cutOff(server)).toEqual([{ too_many_control_frames: 1 }]);
    const [goaway = Buffer.alloc(8)] = connection.payloads(TYPE.GOAWAY);
    expect(goaway.readUInt32BE(4)).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(goaway.subarray(8).toString()).toBe("too_many_pings");
  });

  it("end the connection before more of what has arrived becomes a call", async () => {
    const server = await startWith({ ...LIMIT, MAX_HEADER_LIST_SIZE: "500" });
    const known = literalBlock(callFields("/probe.v1.ProbeService/Public"));
    const text = "x".repeat(120);
    const large = literalBlock(Object.entries({ a: text, b: text, c: text, d: text }));
    const calls = Array.from({ length: 100 }, (_, index) =>
      frameOf(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, 1 + 2 * index, Buffer.concat([known, large])),
    );
    const all = Buffer.concat([PREFACE, SETTINGS_FRAME, ...calls]);
    const { closed } = await openRawConnection(server.port, all);
    await closed;
    expect(server.logs.calls().length).toBeLessThan(20);
    expect(cutOff(server)).toEqual([{ too_many_control_frames: 1 }]);
  });

  it("do not end the connection of a client that cancels", async () => {
    const server = await startWith(LIMIT);
    const session = await openSession(server.port);
    for (let count = 0; count < 30; count++) {
      const stream = callOver(session, "Collect");
      stream.close(constants.NGHTTP2_CANCEL);
      await once(stream, "close");
    }
    await server.logs.waitForCalls(30);
    expect(session.closed).toBe(false);
  });

  it("do not end the connection of a client whose deadlines pass while the server is late, and reads all of it at once", async () => {
    const server = await startWith({});
    const given = Array.from({ length: 200 }, (_, index) => [
      frameOf(TYPE.HEADERS, FLAG.END_HEADERS, 3 + 2 * index, UNKNOWN_METHOD),
      frameOf(TYPE.RST_STREAM, 0, 3 + 2 * index, Buffer.of(0, 0, 0, constants.NGHTTP2_CANCEL)),
    ]);
    const connection = await openRawConnection(server.port, ...ONE_CALL);
    await connection.received(TYPE.HEADERS);
    connection.socket.write(Buffer.concat([...given.flat(), frameOf(TYPE.PING, 0, 0, Buffer.alloc(8))]));
    await connection.received(TYPE.PING);
    expect(connection.payloads(TYPE.GOAWAY)).toEqual([]);
  });

  it("are free while calls move: PING", async () => {
    const server = await startWith(LIMIT, {
      async *converse(requests) {
        for await (const { text } of requests) yield { text };
      },
    });
    const session = await openSession(server.port);
    const stream = callOver(session, "Converse");
    for (let count = 0; count < 30; count++) {
      stream.write(Buffer.concat([Buffer.of(0, 0, 0, 0, 62, 10, 60), Buffer.alloc(60, "x")]));
      await once(stream, "data");
      await new Promise<void>((resolve) => void session.ping(() => resolve()));
    }
    expect(session.closed).toBe(false);
  });
});

describe("a stop", () => {
  it("leaves no connection open, whatever it waits for", async () => {
    const server = await startWith({});
    const connections = [
      await openRawConnection(server.port),
      await openRawConnection(server.port, PREFACE.subarray(0, 10)),
      await openRawConnection(server.port, PREFACE, SETTINGS_FRAME, frameOf(TYPE.HEADERS, 0, 1, UNKNOWN_METHOD)),
      await openRawConnection(server.port, ...ONE_CALL),
    ];
    await server.server.stop();
    expect(server.server.openConnections).toBe(0);
    await Promise.all(connections.map(({ closed }) => closed));
  });
});
