import type { ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { type EditChange, type EditOptions, type Editor, edit } from "../../src/client/edit/edit.ts";
import type { CollaborativeEditRequest, EditOperation } from "../../src/gen/user/v1/collaborative_edit_pb.ts";
import { createFake, failing, unavailable } from "../../src/testing/testing.ts";
import { publishedClient } from "../support/client.ts";
import { freshDatabase } from "../support/database.ts";
import { failureOf } from "../support/errors.ts";
import { lastingPort } from "../support/ports.ts";
import { chooseSeed, Random } from "../support/random.ts";
import { servingTestServer, startTestServer, type TestServer, tokenFor } from "../support/server.ts";

/** Creates somebody with a bio, and returns the id. */
async function someoneWith(server: Pick<TestServer, "address">, bio: string): Promise<string> {
  const request = { email: "bio@example.com", name: "Bio", profile: { bio } };
  const { user } = await publishedClient(server).createUser(request);
  return user?.id ?? "";
}

function open(
  server: Pick<TestServer, "address">,
  userId: string,
  who: string,
  options?: EditOptions,
): Promise<Editor> {
  const client = publishedClient(server, { token: () => tokenFor({ id: who, role: "user" }) });
  return edit(client, userId, options);
}

/** The operations that a call of a fake has got. */
const operationsOf = (requests: readonly object[] = []): EditOperation[] =>
  (requests as CollaborativeEditRequest[]).flatMap(({ request }) =>
    request.case === "operation" ? [request.value] : [],
  );

describe("edit", () => {
  it("changes the text here at once, and for everybody soon", async () => {
    const server = await startTestServer();
    const id = await someoneWith(server, "Hello");
    const changes: EditChange[] = [];
    await using ada = await open(server, id, "ada");
    await using bob = await open(server, id, "bob", { onChange: (change) => changes.push(change) });
    expect([ada.text, bob.text]).toEqual(["Hello", "Hello"]);
    ada.insert(5, ", 🌍!");
    expect(ada.text).toBe("Hello, 🌍!");
    ada.delete(8, 1);
    await ada.settled();
    await expect.poll(() => bob.text).toBe("Hello, 🌍");
    expect(changes[0]).toMatchObject({ userId: "ada", operation: [5, ", 🌍!"], lostText: undefined });
    const { user } = await publishedClient(server).getUser({ id });
    expect(user?.profile?.bio).toBe("Hello, 🌍");
  });

  it("tells of others and their cursors", async () => {
    const server = await startTestServer();
    const id = await someoneWith(server, "Hello");
    await using ada = await open(server, id, "ada");
    const bob = await open(server, id, "bob");
    bob.move(2, 99);
    await expect
      .poll(() => [...ada.others.values()])
      .toMatchObject([{ userId: "bob", cursor: { position: 2, selectionEnd: 5 } }]);
    await bob.close();
    await expect.poll(() => ada.others.size).toBe(0);
  });

  it("fails with NOT_FOUND if there is no such user, and ends so when they are deleted", async () => {
    const server = await startTestServer();
    expect(await failureOf(open(server, "nobody", "ada"))).toMatchObject({ code: "NotFound" });
    const id = await someoneWith(server, "Hello");
    const ada = await open(server, id, "ada");
    await publishedClient(server).deleteUser({ id });
    await ada.settled();
    await expect.poll(() => ada.failure?.rawMessage).toBe("no such user");
    expect(() => ada.insert(0, "x")).toThrow("no such user");
    await ada.close();
  });

  it("refuses what cannot be done to the text, and changes nothing", async () => {
    const server = await startTestServer();
    await using ada = await open(server, await someoneWith(server, "🌍"), "ada");
    for (const operation of [[2, "x"], [{ d: 2 }], [-1], [0.5], ["\0"], ["\ud83c"], ["x".repeat(16_381)]]) {
      expect(() => ada.apply(operation), JSON.stringify(operation).slice(0, 20)).toThrow(RangeError);
    }
    expect(ada.text).toBe("🌍");
  });

  it("sends what has more steps than a message may have in parts", async () => {
    const server = await startTestServer();
    const id = await someoneWith(server, "a".repeat(1500));
    await using ada = await open(server, id, "ada");
    ada.apply(Array.from({ length: 1500 }, () => [1, "b"]).flat());
    await ada.settled();
    const { user } = await publishedClient(server).getUser({ id });
    expect(user?.profile?.bio).toBe("ab".repeat(1500));
  });

  it("ends when everything has come back, and takes no more then", async () => {
    const server = await startTestServer();
    const id = await someoneWith(server, "");
    const ada = await open(server, id, "ada");
    for (const letter of "olleh") ada.insert(0, letter);
    await ada.close();
    const { user } = await publishedClient(server).getUser({ id });
    expect(user?.profile?.bio).toBe("hello");
    expect(() => ada.insert(0, "x")).toThrow("closed");
    expect(ada.failure).toBeUndefined();
  });
});

describe("an editor whose calls break off", () => {
  const snapshot = { event: { case: "snapshot" as const, value: { revision: 0n, text: "" } } };

  it("is closed at once between two calls if nothing is under way", async () => {
    await using fake = await createFake({
      async *collaborativeEdit() {
        yield snapshot;
        throw failing({ code: "UNAVAILABLE", retryDelayMs: 60_000 });
      },
    });
    const interrupted = Promise.withResolvers<void>();
    const ada = await open(fake, "bio", "ada", { onInterrupted: () => interrupted.resolve() });
    await interrupted.promise;
    await ada.close();
    expect(ada.failure).toBeUndefined();
  });

  it("is not opened with a signal that is aborted, and says why", async () => {
    await using fake = await createFake();
    const signal = AbortSignal.abort(new Error("the page was left"));
    expect(await failureOf(open(fake, "bio", "ada", { signal }))).toMatchObject({
      code: "Canceled",
      message: "the page was left",
    });
  });

  it("says why all that was typed will not come back", async () => {
    await using fake = await createFake({
      async *collaborativeEdit(requests) {
        yield snapshot;
        for await (const _ of requests);
      },
    });
    const leaving = new AbortController();
    const ada = await open(fake, "bio", "ada", { signal: leaving.signal });
    ada.insert(0, "lost");
    leaving.abort(new Error("the page was left"));
    expect(await failureOf(ada.settled())).toMatchObject({ code: "Canceled", message: "the page was left" });
  });

  it("tells that the others are not known any more", async () => {
    await using fake = await createFake({
      collaborativeEdit: [
        async function* () {
          yield snapshot;
          yield { event: { case: "presence", value: { sessionId: "1", userId: "bob" } } };
          throw unavailable();
        },
        async function* (requests) {
          for await (const _ of requests) yield snapshot;
        },
      ],
    });
    const seen: number[] = [];
    await using _ada = await open(fake, "bio", "ada", { onPresence: (others) => seen.push(others.size) });
    await expect.poll(() => seen).toEqual([1, 0]);
  });

  it("opens again where it was, and sends again what has not come back, transformed", async () => {
    const other = {
      revision: 1n,
      steps: [{ step: { case: "insert" as const, value: "X" } }],
      userId: "bob",
    };
    await using fake = await createFake({
      collaborativeEdit: [
        async function* (requests) {
          yield { event: { case: "snapshot", value: { revision: 0n, text: "ab" } } };
          for await (const { request } of requests) {
            if (request.case !== "operation") continue;
            yield { event: { case: "operation", value: other } };
            throw unavailable();
          }
        },
        async function* (requests) {
          for await (const { request } of requests) {
            if (request.case !== "operation") continue;
            const value = { revision: 2n, steps: request.value.steps, operationId: request.value.operationId };
            yield { event: { case: "operation", value } };
          }
        },
      ],
    });
    const interruptions: ConnectError[] = [];
    await using ada = await open(fake, "bio", "ada", { onInterrupted: (error) => interruptions.push(error) });
    ada.insert(2, "!");
    await ada.settled();
    expect(ada.text).toBe("Xab!");
    expect(interruptions).toHaveLength(1);
    expect(fake.calls[1]?.requests[0]).toMatchObject({ request: { value: { afterRevision: 1n } } });
    const [first, again] = fake.calls.map(({ requests }) => operationsOf(requests)[0]);
    expect(again?.operationId).toBe(first?.operationId);
    expect(again).toMatchObject({ baseRevision: 1n, steps: [{ step: { value: 3 } }, { step: { value: "!" } }] });
  });

  it.each([["OUT_OF_RANGE"], ["INVALID_ARGUMENT"]] as const)(
    "takes the text of everybody when the server says %s, and tells what is lost",
    async (code) => {
      await using fake = await createFake({
        collaborativeEdit: [
          async function* (requests) {
            yield { event: { case: "snapshot", value: { revision: 5n, text: "old" } } };
            for await (const { request } of requests) if (request.case === "operation") throw failing({ code });
          },
          async function* (requests) {
            yield { event: { case: "snapshot", value: { revision: 9n, text: "new" } } };
            for await (const _ of requests);
          },
        ],
      });
      const changes: EditChange[] = [];
      await using ada = await open(fake, "bio", "ada", { onChange: (change) => changes.push(change) });
      ada.insert(3, "!");
      await ada.settled();
      expect(ada.text).toBe("new");
      expect(changes).toEqual([{ operation: undefined, userId: "", lostText: "old!" }]);
      expect(fake.calls[1]?.requests[0]).toMatchObject({ request: { case: "open" } });
    },
  );

  it("converges with others over replicas that are restarted in turn", async () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    const environment = { DATABASE_URL: await freshDatabase() };
    const startReplica = (port: number) => servingTestServer({ environment: { ...environment, PORT: String(port) } });
    const replicas = [await startReplica(await lastingPort()), await startReplica(await lastingPort())];
    const address = `ipv4:${replicas.map((replica) => replica.address).join(",")}`;
    const id = await someoneWith({ address }, "");
    const editors = await Promise.all(["ada", "bob", "eve"].map((who) => open({ address }, id, who)));
    const typed = new Map<Editor, number>();
    const type = async (times: number) => {
      for (let n = 0; n < times; n++) {
        for (const [index, editor] of editors.entries()) {
          editor.insert(random.between(0, [...editor.text].length), "abc"[index] ?? "");
          typed.set(editor, (typed.get(editor) ?? 0) + 1);
        }
        await new Promise(setImmediate);
      }
    };
    for (const { port, server } of replicas) {
      const typing = type(30);
      await server.stop();
      await startReplica(port);
      await typing;
    }
    await Promise.all(editors.map((editor) => editor.settled()));
    const letters = (text = "") => [...text].toSorted((a, b) => a.localeCompare(b)).join("");
    await expect.poll(() => new Set(editors.map(({ text }) => text)).size, { message: `SEED=${seed}` }).toBe(1);
    expect(letters(editors[0]?.text), `SEED=${seed}`).toBe("a".repeat(60) + "b".repeat(60) + "c".repeat(60));
    await Promise.all(editors.map((editor) => editor.close()));
    for (const { failure } of editors) expect(failure).toBeUndefined();
  });
});
