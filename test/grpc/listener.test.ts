import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { ListenError, listen, type Reception } from "../../src/grpc/listener.ts";

/** Listens until the test is finished, and tells the address from which each connection came. */
async function start(host: string, port = 0) {
  const accepted: (string | undefined)[] = [];
  const reception: Reception = {
    accept(socket: Socket) {
      accepted.push(socket.remoteAddress);
      socket.destroy();
    },
    acceptFailed() {},
  };
  const listener = await listen(host, port, reception);
  onTestFinished(() => listener.close());
  return { listener, accepted };
}

async function visit(host: string, port: number): Promise<void> {
  const socket = connect(port, host).resume();
  socket.on("error", () => {});
  await once(socket, "close");
}

describe("listening", () => {
  it("takes a free port for port 0", async () => {
    const { listener, accepted } = await start("127.0.0.1");
    await visit("127.0.0.1", listener.port);
    expect(accepted).toEqual(["127.0.0.1"]);
  });

  it("is on all addresses of a name, at one port", async () => {
    const addresses = (await lookup("localhost", { all: true })).map(({ address }) => address);
    const { listener, accepted } = await start("localhost");
    for (const address of new Set(addresses)) await visit(address, listener.port);
    expect(new Set(accepted)).toEqual(new Set(addresses));
  });

  it("is on IPv4 too where the host is ::", async () => {
    const { listener, accepted } = await start("::");
    await visit("127.0.0.1", listener.port);
    expect(accepted).toEqual(["::ffff:127.0.0.1"]);
  });

  it("fails with the reason of the system", async () => {
    const { listener } = await start("::1");
    const { port } = listener;
    await expect(start("::1", port)).rejects.toThrow(ListenError);
    await expect(start("::1", port)).rejects.toThrow(
      `cannot listen on [::1]:${port}: listen EADDRINUSE: address already in use ::1:${port}`,
    );
    await expect(start("192.0.2.1")).rejects.toThrow("cannot listen on 192.0.2.1:0: listen EADDRNOTAVAIL");
    await expect(start("no-such-host.invalid")).rejects.toThrow(
      /^cannot listen on no-such-host\.invalid:0: getaddrinfo/,
    );
  });

  it("ends with close, while connections go on", async () => {
    const sockets: Socket[] = [];
    const listener = await listen("127.0.0.1", 0, { accept: (socket) => sockets.push(socket), acceptFailed() {} });
    const open = connect(listener.port, "127.0.0.1");
    onTestFinished(() => void open.destroy());
    while (sockets.length === 0) await new Promise(setImmediate);
    listener.close();
    const late = connect(listener.port, "127.0.0.1");
    const [error] = await once(late, "error");
    expect(error.code).toBe("ECONNREFUSED");
    sockets[0]?.write("still here");
    expect(String((await once(open, "data"))[0])).toBe("still here");
  });
});
