import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, describe, expect, it, vi } from "vitest";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { WatchEventType } from "../../src/gen/user/v1/watch_pb.ts";
import { signToken } from "../../src/interceptors/token.ts";
import { failureOf } from "../support/errors.ts";
import { JWT_SECRET, startTestServer, type TestServer, userClient } from "../support/server.ts";

const ENDED = { code: "Unauthenticated", reason: "TOKEN_EXPIRED", domain: "user.v1" };
/** Tokens are taken a little longer than they say. */
const TOLERANCE_S = 5;

/** A client whose token lives for so long. */
async function clientFor({ port }: TestServer, seconds: number) {
  const token = await signToken({ secret: Buffer.from(JWT_SECRET) }, { id: "alice", role: "admin" }, seconds);
  const transport = createGrpcTransport({
    baseUrl: `http://127.0.0.1:${port}`,
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${token}`);
        return next(request);
      },
    ],
  });
  return createClient(UserService, transport);
}

/** Longer than any timer of a client. */
const LONG_MS = 20 * 60_000;

/** Keeps the timers that wait for long, so that a test can end their wait. */
function keepTimers() {
  const timers: KeptTimer[] = [];
  const real = globalThis.setTimeout;
  const keeping = (run: () => void, delay = 0, ...rest: []): NodeJS.Timeout => {
    const timer = real(run, delay, ...rest);
    const end = (): void => {
      clearTimeout(timer);
      run();
    };
    if (delay > LONG_MS) timers.push({ delay, timer, end });
    return timer;
  };
  vi.spyOn(globalThis, "setTimeout").mockImplementation(keeping as typeof setTimeout);
  return timers;
}

interface KeptTimer {
  readonly delay: number;
  readonly timer: NodeJS.Timeout;
  /** Does now what the timer would do. */
  end(): void;
}

/** Reads to the end. */
async function drain(items: AsyncIterator<unknown>): Promise<void> {
  while (!(await items.next()).done);
}

describe("a stream that lives", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("ends when its token expires, and goes on with a new token where it was", async () => {
    const timers = keepTimers();
    const server = await startTestServer();
    const events = (await clientFor(server, 3600)).watchUsers({ snapshot: true })[Symbol.asyncIterator]();
    const { resumeToken = "" } = (await events.next()).value ?? {};
    expect(resumeToken).not.toBe("");
    timers[0]?.end();
    expect(await failureOf(drain(events))).toMatchObject(ENDED);

    const { user } = await userClient(server).createUser({ email: "ada@example.com", name: "Ada" });
    const over = new AbortController();
    for await (const { type, userId } of userClient(server).watchUsers({ resumeToken }, over)) {
      if (type !== WatchEventType.CREATED) continue;
      expect(userId).toBe(user?.id);
      break;
    }
    over.abort();
  });

  it("ends in both directions", async () => {
    const timers = keepTimers();
    const client = await clientFor(await startTestServer(), 3600);
    const { promise: never, resolve: over } = Promise.withResolvers<void>();
    async function* talk() {
      yield { message: "hello" };
      await never;
    }
    const answers = client.chat(talk())[Symbol.asyncIterator]();
    expect((await answers.next()).value).toMatchObject({ message: "Echo: hello" });
    expect(timers[0]?.delay).toBeGreaterThan(3600_000);
    expect(timers[0]?.delay).toBeLessThanOrEqual((3600 + TOLERANCE_S) * 1000);
    timers[0]?.end();
    expect(await failureOf(drain(answers))).toMatchObject(ENDED);
    over();
  });

  it("waits for an expiry that is further away than timers reach", async () => {
    const timers = keepTimers();
    const server = await startTestServer();
    const year = 365 * 24 * 3600;
    const client = await clientFor(server, year);
    const over = new AbortController();
    const events = client.watchUsers({ snapshot: true }, over)[Symbol.asyncIterator]();
    await events.next();
    const longest = 2 ** 31 - 1;
    expect(timers.map(({ delay }) => delay)).toEqual([longest]);

    // As if that time had passed, and then the rest of it.
    vi.spyOn(Date, "now").mockReturnValue(Date.now() + year * 1000 - 3_600_000);
    timers[0]?.end();
    expect(timers).toHaveLength(2);
    expect(timers[1]?.delay).toBeGreaterThan(3_500_000);
    expect(timers[1]?.delay).toBeLessThan(3_700_000);
    timers[1]?.end();
    expect(await failureOf(drain(events))).toMatchObject(ENDED);
  });

  it("leaves no timer behind", async () => {
    const timers = keepTimers();
    const cleared = vi.spyOn(globalThis, "clearTimeout");
    const client = await clientFor(await startTestServer(), 3600);
    for await (const _ of client.chat((async function* () {})())) expect.fail("nothing was said");
    expect(timers).toHaveLength(1);
    expect(cleared).toHaveBeenCalledWith(timers[0]?.timer);
  });
});

describe("a call with a deadline", () => {
  it("is not watched for the expiry of its token", async () => {
    const timers = keepTimers();
    const client = await clientFor(await startTestServer(), 3600);
    await client.listUsersPage({});
    expect(timers).toEqual([]);
  });
});
