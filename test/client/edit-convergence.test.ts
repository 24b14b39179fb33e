import { once } from "node:events";
import { type AddressInfo, createServer, Socket } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { type EditChange, type Editor, edit } from "../../src/client/edit/edit.ts";
import { publishedClient } from "../support/client.ts";
import { FULL } from "../support/full.ts";
import { chooseSeed, Random } from "../support/random.ts";
import { startTestServer, tokenFor } from "../support/server.ts";

const ROUNDS = FULL ? 100 : 6;

/** The first of the characters that are typed, none of them twice. */
const FIRST_CHARACTER = 0x4e00;

/** A proxy to a port whose connections break when a test says so, with whatever is under way on them. */
async function startBreakable(port: number) {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const link = [client, new Socket().connect(port, "127.0.0.1")] as const;
    for (const [from, to] of [link, link.toReversed() as [Socket, Socket]]) {
      sockets.add(from.on("error", () => {}).on("close", () => to.destroy()));
      from.pipe(to);
    }
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  onTestFinished(() => {
    cut();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, cut };
}

it("editors whose connections break at any time lose nothing, do nothing twice, and have one text", async () => {
  const seed = chooseSeed();
  const random = new Random(seed);
  const server = await startTestServer();
  const proxy = await startBreakable(server.port);
  const admin = publishedClient(server);
  const { user } = await admin.createUser({ email: "bio@example.com", name: "Bio" });
  const id = user?.id ?? "";
  const changes: EditChange[] = [];
  const open = (who: string) => {
    const client = publishedClient(proxy, { token: () => tokenFor({ id: who, role: "user" }) });
    return edit(client, id, { onChange: (change) => changes.push(change) });
  };
  const editors = await Promise.all(["ada", "bob", "eve"].map(open));
  const there = new Set<string>();
  let typed = 0;

  function type(editor: Editor): void {
    const characters = [...editor.text];
    const position = random.between(0, characters.length);
    const doomed = characters[position];
    if (doomed !== undefined && random.next() < 0.4) {
      editor.delete(position, 1);
      there.delete(doomed);
      return;
    }
    const character = String.fromCodePoint(FIRST_CHARACTER + typed++);
    editor.insert(position, character);
    there.add(character);
  }

  for (let round = 0; round < ROUNDS; round++) {
    for (let n = random.between(1, 40); n > 0; n--) {
      for (const editor of editors) if (random.next() < 0.7) type(editor);
      // So that the break finds calls in different states.
      await new Promise(setImmediate);
    }
    proxy.cut();
    if (random.next() < 0.5) await Promise.all(editors.map((editor) => editor.settled()));
  }
  await Promise.all(editors.map((editor) => editor.settled()));

  const text = (await admin.getUser({ id })).user?.profile?.bio ?? "";
  for (const editor of editors) await expect.poll(() => editor.text, { message: `SEED=${seed}` }).toBe(text);
  expect(new Set(text), `SEED=${seed}`).toEqual(there);
  expect(text).toHaveLength(there.size);
  expect(changes.filter(({ lostText }) => lostText !== undefined)).toEqual([]);
  await Promise.all(editors.map((editor) => editor.close()));
});
