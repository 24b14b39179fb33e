import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { sniffProtocol } from "../../src/gateway/protocol-sniffer.ts";

/** A connection, of which the returned function tells what it is taken for. */
async function openSniffed(timeoutMs: number): Promise<{ client: Socket; taken: () => string | undefined }> {
  let taken: string | undefined;
  const take = (protocol: string) => (socket: Socket) => {
    taken = protocol;
    socket.destroy();
  };
  const server = createServer((socket) => sniffProtocol(socket, take("http1"), take("http2"), timeoutMs));
  onTestFinished(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const client = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", noDelay: true });
  onTestFinished(() => void client.destroy());
  client.on("error", () => {});
  client.resume();
  return { client, taken: () => taken };
}

it.each([
  ["http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["http1", "GET / HTTP/1.1\r\n\r\n"],
  ["http1", "PRI * HTTP/1.1\r\n\r\n"],
])("takes a connection for %s that begins with %j", async (protocol, beginning) => {
  const { client, taken } = await openSniffed(10_000);
  client.write(beginning);
  await once(client, "close");
  expect(taken()).toBe(protocol);
});

it("closes a connection in time that sends the preface of HTTP/2 a byte at a time", async () => {
  const { client, taken } = await openSniffed(50);
  const closed = once(client, "close");
  for (const byte of "PRI * HTTP/2") {
    client.write(byte);
    await Promise.race([closed, setTimeout(20)]);
  }
  await closed;
  expect(taken()).toBeUndefined();
});
