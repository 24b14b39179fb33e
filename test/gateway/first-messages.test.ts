import { setImmediate } from "node:timers/promises";
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError, createHandlerContext, type Transport } from "@connectrpc/connect";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { forward } from "../../src/gateway/forward.ts";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";

const TURNS = 16;
const METHOD = UserService.method.createUsers;

/** A call of a client stream through the gateway, and the server that it goes to, in the hands of a test. */
class GatewayCall {
  /** How many messages the gateway has read. */
  read = 0;
  readonly #accepted = Promise.withResolvers<void>();
  readonly #refused = Promise.withResolvers<never>();
  readonly #requests = Promise.withResolvers<AsyncIterator<unknown>>();
  readonly #done: Promise<unknown>;

  constructor() {
    const call = this;
    const upstream = {
      async stream(...[method, , , , input]: Parameters<Transport["stream"]>) {
        call.#requests.resolve(input[Symbol.asyncIterator]() as AsyncIterator<unknown>);
        await Promise.race([call.#accepted.promise, call.#refused.promise]);
        const message = (async function* () {
          yield { $typeName: METHOD.output.typeName } as Message;
        })();
        return { stream: true, service: method.parent, method, header: new Headers(), trailer: new Headers(), message };
      },
    } as unknown as Transport;
    async function* messages() {
      for (;;) {
        call.read++;
        yield { $typeName: METHOD.input.typeName } as never;
      }
    }
    const context = createHandlerContext({
      service: METHOD.parent,
      method: METHOD,
      protocolName: "connect",
      requestMethod: "POST",
      url: "http://localhost/",
    });
    this.#done = forward(METHOD, upstream, () => [])(messages(), context).catch(ConnectError.from);
  }

  /** The server takes what the gateway has for it: resolves when that is there. */
  async take(): Promise<void> {
    await (await this.#requests.promise).next();
  }

  /** The server ends the call. */
  async end(): Promise<void> {
    this.#accepted.resolve();
    await this.#done;
  }

  /** The server refuses the call. */
  async refuse(): Promise<void> {
    this.#refused.reject(new ConnectError("refused", Code.Unauthenticated));
    await this.#done;
  }
}

let calls: GatewayCall[];

beforeEach(() => {
  calls = Array.from({ length: 3 * TURNS }, () => new GatewayCall());
  // The turns are those of the process.
  onTestFinished(() => Promise.all(calls.map((call) => call.end())).then(() => {}));
});

/** Has the server ask each call for a message, and counts those that were read. */
async function firstMessages(): Promise<number> {
  for (const call of calls) void call.take();
  // All that can happen without anybody else happens in promises.
  await setImmediate();
  return calls.filter(({ read }) => read > 0).length;
}

test("so many first messages are read at a time, and no more", async () => {
  expect(await firstMessages()).toBe(TURNS);
});

test("a turn lasts until the server has taken the message", async () => {
  await firstMessages();
  await setImmediate();
  expect(calls.filter(({ read }) => read > 0)).toHaveLength(TURNS);
  await calls[0]?.take();
  await setImmediate();
  expect(calls.filter(({ read }) => read > 0)).toHaveLength(TURNS + 1);
});

test("a turn ends with its call, and of a call that has ended nothing is read", async () => {
  await firstMessages();
  await calls[TURNS]?.refuse();
  await calls[0]?.end();
  await setImmediate();
  expect(calls.map(({ read }) => read > 0).slice(0, TURNS + 3)).toEqual([
    ...Array(TURNS).fill(true),
    false,
    true,
    false,
  ]);
});
