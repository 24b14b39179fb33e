import { fork } from "node:child_process";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, it, onTestFinished } from "vitest";
import { FULL } from "../support/full.ts";
import { chooseSeed, Random } from "../support/random.ts";
import {
  ADMIN,
  collect,
  newUsers,
  startTestServer,
  streamOf,
  type TestServer,
  tokenFor,
  userClient,
} from "../support/server.ts";
import { CUTS, type CutPlan, type CutReport, cutStreams } from "./cuts.ts";

/** Streams cut by clients in other processes, in each of which so many are open at a time that both sides are busy. */
const REMOTE = FULL ? 8000 : 100;
/** Streams cut by clients in the server's own process. */
const LOCAL = FULL ? 2000 : 40;
const PROCESSES = FULL ? 2 : 1;

/** Where the machine is busy, some would not be let in at all. */
const ANY_NUMBER = { environment: { MAX_CALLS_IN_FLIGHT: "0" } };

describe("client streams cut before their half-close", () => {
  it("create nothing", async () => {
    const server = await startTestServer(ANY_NUMBER);
    await cutAndLook(server, PROCESSES, REMOTE, LOCAL);
  });

  it.runIf(FULL)("create nothing while the processors are busy", async () => {
    const server = await startTestServer(ANY_NUMBER);
    const busy = [busyThread(), busyThread()];
    onTestFinished(async () => {
      await Promise.all(busy.map((worker) => worker.terminate()));
    });
    await cutAndLook(server, PROCESSES, REMOTE, LOCAL);
  });
});

/** Cuts streams, and looks at what the server makes of them. */
async function cutAndLook(server: TestServer, processes: number, remote: number, local: number): Promise<void> {
  const seed = chooseSeed();
  const token = await tokenFor(ADMIN);
  const rejections: unknown[] = [];
  const onRejection = (reason: unknown): unknown => rejections.push(reason);
  process.on("unhandledRejection", onRejection);
  onTestFinished(() => void process.off("unhandledRejection", onRejection));

  const plans = Array.from({ length: processes }, (_, index) => ({
    port: server.port,
    token,
    seed: seed + index,
    count: remote / processes,
  }));
  const own = { port: server.port, token, seed: seed + processes, count: local };
  const reports = await Promise.all([...plans.map(cutElsewhere), cutStreams(own, new Random(own.seed))]);

  const context = `SEED=${seed}`;
  const expected = new Set(Object.entries(CUTS).map(([kind, { end }]) => `${kind}: ${end}`));
  for (const report of reports) expect(new Set(Object.keys(report)), context).toEqual(expected);
  await expect.poll(() => server.server.openCalls, { message: context, timeout: 5000 }).toBe(0);
  const seen = server.logs.calls("/CreateUsers");
  const succeeded = seen.filter(({ code }) => code === "OK");
  expect(
    Map.groupBy(succeeded, ({ request_id }) => request_id),
    context,
  ).toEqual(new Map());
  // Of the calls that are cancelled at once, some never leave their client.
  expect(seen.length, context).toBeGreaterThan((remote + local) * 0.9);
  expect(new Set(seen.map(({ code }) => code)), context).toEqual(
    new Set(["CANCELLED", "DATA_LOSS", "DEADLINE_EXCEEDED"]),
  );
  expect(await countUsers(server), context).toBe(0);
  expect(rejections, context).toEqual([]);

  const { createdCount } = await userClient(server).createUsers(streamOf(...newUsers(3)));
  expect(createdCount).toBe(3);
  expect(await countUsers(server)).toBe(3);
}

/** Runs a plan in a process of its own. */
async function cutElsewhere(plan: CutPlan): Promise<CutReport> {
  const child = fork(new URL("cutting-client.ts", import.meta.url), [JSON.stringify(plan)], { execArgv: [] });
  onTestFinished(() => void child.kill());
  const exited = once(child, "exit");
  const [report] = await Promise.race([
    once(child, "message"),
    exited.then(([code]) => Promise.reject(new Error(`the cutting client exited with ${code}, SEED=${plan.seed}`))),
  ]);
  await exited;
  return report as CutReport;
}

async function countUsers(server: TestServer): Promise<number> {
  const client = userClient(server);
  let count = 0;
  let pageToken = "";
  do {
    let next = "";
    const page = client.listUsers(
      { pageSize: 1000, pageToken },
      {
        onTrailer(trailer) {
          next = trailer.get("x-next-page-token") ?? "";
        },
      },
    );
    count += (await collect(page)).length;
    pageToken = next;
  } while (pageToken !== "");
  return count;
}

/** A thread that wants a processor for itself until it is terminated. */
function busyThread(): Worker {
  return new Worker("for (;;);", { eval: true });
}
