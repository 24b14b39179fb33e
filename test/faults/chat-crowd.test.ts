import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it, onTestFailed } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../src/gen/health/v1/health_pb.ts";
import { freshDatabase } from "../support/database.ts";
import { FULL } from "../support/full.ts";
import { type ServiceProcess, startProcess } from "../support/process.ts";
import { chooseSeed, Random } from "../support/random.ts";
import { servingTestServer } from "../support/server.ts";
import { type ClientMessage, startTcpProxy, type Verdict } from "../support/tcp-proxy.ts";
import { Crowd, type CrowdPlan } from "./chat-crowd.ts";

const SHORT: CrowdPlan = { members: 5, messages: 100, messagesPerSecond: 200, breaksPerSecond: 16 };
const LONG: CrowdPlan = { members: 50, messages: 20_000, messagesPerSecond: 1000, breaksPerSecond: 2 };

/** When one of the replicas is killed in the full form, and for how long it is not there. */
const KILL_AFTER_MS = 7000;
const DOWN_MS = 3000;

/** Long enough for a machine that is busy with other tests. */
const TIMEOUT_MS = FULL ? 300_000 : 60_000;

describe("a crowd in a room on two replicas, whose connections break", () => {
  it("hears every text that anybody has posted, once, and all in the same order", { timeout: TIMEOUT_MS }, async () => {
    const plan = FULL ? LONG : SHORT;
    const url = await freshDatabase();
    const replicas = [await startReplica(url), await startReplica(url)];
    const { report } = await talk(plan, replicas, async () => {
      if (!FULL) return;
      await later(KILL_AFTER_MS);
      const [killed] = replicas.splice(0, 1);
      killed?.process?.child.kill("SIGKILL");
      expect(await killed?.process?.exit).toBe("SIGKILL");
      await later(DOWN_MS);
      replicas.push(await startReplica(url));
    });
    console.info(report);
  });
});

describe("a crowd in a room on two replicas that do not hear of each other", () => {
  const silences: readonly (readonly [how: string, judge: (message: ClientMessage) => Verdict])[] = [
    ["cannot listen", ({ text }) => (text.includes("LISTEN user_service") ? "cut" : "pass")],
    ["lose the connection with each notification", ({ text }) => (text.includes("pg_notify") ? "cut" : "pass")],
  ];

  it.each(FULL ? silences : silences.slice(0, 1))(
    "hears everything, though the replicas %s",
    { timeout: TIMEOUT_MS },
    async (_, judge) => {
      const proxy = await startTcpProxy(await freshDatabase());
      let silenced = 0;
      proxy.judge = (message) => {
        const verdict = judge(message);
        if (verdict !== "pass") silenced++;
        return verdict;
      };
      const replicas = [await startReplica(proxy.url), await startReplica(proxy.url)];
      await talk(SHORT, replicas);
      expect(silenced).toBeGreaterThan(0);
    },
  );
});

interface Replica {
  /** Undefined for one that runs in this process. */
  readonly process: ServiceProcess | undefined;
  readonly port: number;
}

/** Has a crowd talk, while something else happens, and checks what it has heard. */
async function talk(plan: CrowdPlan, replicas: readonly Replica[], happen: () => Promise<void> = async () => {}) {
  const seed = chooseSeed();
  onTestFailed(() => console.info(`SEED=${seed}`));
  const crowd = new Crowd(plan, new Random(seed), () => replicas.map(({ port }) => port));
  const failed = Promise.withResolvers<never>();
  for (const { process } of replicas)
    void process?.exit.then((status) => {
      // Whoever kills one does so by a signal.
      if (typeof status === "number") failed.reject(new Error(`a replica ended with ${status}: ${process.stderr()}`));
    });
  const [report] = await Promise.race([Promise.all([crowd.talk(), happen()]), failed.promise]);
  crowd.expectAgreement(`SEED=${seed}`);
  return { report };
}

/** Starts a replica, in the full form in a process of its own, where it can be killed, and waits until it serves. */
async function startReplica(url: string): Promise<Replica> {
  const environment = { AUTH: "none", DATABASE_URL: url, CHAT_HISTORY_MAX_COUNT: "1000000" };
  if (!FULL) return { process: undefined, port: (await servingTestServer({ environment })).port };
  const process = startProcess(environment);
  const port = await process.port;
  const health = createClient(Health, createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` }));
  for await (const { status } of health.watch({})) if (status === ServingStatus.SERVING) return { process, port };
  return expect.fail("the service stopped before it served");
}

/** A moment in the life of a crowd, which nothing but time brings. */
function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
