import type { MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, ConnectError } from "@connectrpc/connect";
import { expect, onTestFinished } from "vitest";
import { RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import {
  WatchEventType,
  type WatchUsersRequestSchema,
  type WatchUsersResponse,
} from "../../src/gen/user/v1/watch_pb.ts";
import { freshDatabase } from "../support/database.ts";
import { type Failure, toFailure } from "../support/errors.ts";
import { FULL } from "../support/full.ts";
import { emptyReplicas } from "../support/replicas.ts";
import { servingTestServer, startTestServer, type TestServer, userClient } from "../support/server.ts";
import type { UserClient } from "./users.ts";

export const { CREATED, UPDATED, DELETED, SNAPSHOT, SNAPSHOT_END, HEARTBEAT } = WatchEventType;

export type WatchRequest = Exclude<MessageInitShape<typeof WatchUsersRequestSchema>, { $typeName: string }>;

/** No heartbeat comes while a test runs. */
const SELDOM = { seconds: 300n };
export const OFTEN = { nanos: 100_000_000 };

/** A server that is watched, and one through which users are changed: they may be the same. */
export interface WatchedService {
  readonly watching: TestServer;
  readonly writing: TestServer;
  /** The database of both, if there is one. */
  readonly url?: string;
}

/** A way in which the service is deployed. */
interface Deployment {
  readonly where: string;
  /** Deploys it for one test. */
  start(): Promise<WatchedService>;
  /**
   * Returns what deploys it for one test after the other, none of which stops a server. To be called where tests are
   * collected.
   */
  lend(): () => Promise<WatchedService>;
}

async function inMemory(): Promise<WatchedService> {
  const server = await startTestServer();
  return { watching: server, writing: server };
}

function onPostgres(where: string, replicas: number): Deployment {
  return {
    where,
    async start() {
      const url = await freshDatabase();
      const start = () => servingTestServer({ environment: { DATABASE_URL: url } });
      const [watching = expect.fail(), writing = watching] = await Promise.all(Array.from({ length: replicas }, start));
      // Both at once: each of them waits for its clients.
      onTestFinished(async () => void (await Promise.all([watching.server.stop(), writing.server.stop()])));
      return { watching, writing, url };
    },
    lend() {
      const empty = emptyReplicas(replicas);
      return async () => {
        const { servers, url } = await empty();
        const [watching, writing = watching] = servers;
        return { watching, writing, url };
      };
    },
  };
}

/** Every way in which the service is deployed; in the short form, without the one that lies between the others. */
export const DEPLOYMENTS: readonly Deployment[] = [
  { where: "in memory", start: inMemory, lend: () => inMemory },
  ...(FULL ? [onPostgres("on PostgreSQL", 1)] : []),
  onPostgres("on PostgreSQL, with changes through another replica", 2),
];

/** How a watch ended that failed, and where another goes on. */
export interface WatchEnd extends Failure {
  readonly token: string | null;
  /** Whether the caller is told to try again (RetryInfo). */
  readonly retry: boolean;
}

/** A call of WatchUsers, whose events are read one by one. It is cancelled after the test. */
export class Watch {
  /** All that have been read so far. */
  readonly events: WatchUsersResponse[] = [];
  readonly #controller = new AbortController();
  readonly #responses: AsyncIterator<WatchUsersResponse>;

  constructor(client: UserClient, request: WatchRequest = {}, options: CallOptions = {}) {
    const { signal } = this.#controller;
    const responses = client.watchUsers({ heartbeatInterval: SELDOM, ...request }, { ...options, signal });
    this.#responses = responses[Symbol.asyncIterator]();
    onTestFinished(() => this.#controller.abort());
  }

  /** The token of the last event that has been read. */
  get token(): string {
    return this.events.at(-1)?.resumeToken ?? "";
  }

  async next(): Promise<WatchUsersResponse> {
    const { value, done } = await this.#responses.next();
    if (done) return expect.fail("the watch ended with OK");
    this.events.push(value);
    return value;
  }

  async take(count: number): Promise<WatchUsersResponse[]> {
    const taken: WatchUsersResponse[] = [];
    while (taken.length < count) taken.push(await this.next());
    return taken;
  }

  /** Reads events up to the first that is so, and returns all of these. */
  async until(isLast: (event: WatchUsersResponse) => boolean): Promise<WatchUsersResponse[]> {
    const taken = [await this.next()];
    while (!isLast(taken.at(-1) ?? expect.fail())) taken.push(await this.next());
    return taken;
  }

  /** Reads on until the call fails. */
  async failure(): Promise<WatchEnd> {
    try {
      for (;;) await this.next();
    } catch (reason) {
      const error = ConnectError.from(reason);
      const retry = error.findDetails(RetryInfoSchema).length > 0;
      return { ...toFailure(error), token: error.metadata.get("x-resume-token"), retry };
    }
  }

  /** Cancels the call. */
  async cancel(): Promise<void> {
    this.#controller.abort();
    expect(await this.failure()).toMatchObject({ code: "Canceled" });
  }
}

/** Watches from now on, or from a token, and returns once what takes effect will come. */
export async function startWatch(server: TestServer, request: WatchRequest = {}): Promise<Watch> {
  const watch = new Watch(userClient(server), request);
  expect(await watch.next()).toMatchObject({ type: HEARTBEAT });
  return watch;
}

/** What happened to whom. */
export function storyOf(events: readonly WatchUsersResponse[]): [type: WatchEventType, userId: string][] {
  return events.map(({ type, userId }) => [type, userId]);
}
