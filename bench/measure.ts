/** One measurement: one scenario on one server, which is started for it. */
import { writeFileSync } from "node:fs";
import type { DescMethod } from "@bufbuild/protobuf";
import { pathOf } from "../src/contract/path.ts";
import { call, open, requestHeaders } from "./client.ts";
import { driveWithH2load } from "./h2load.ts";
import type { Amount, LoadOrder, LoadReport } from "./load.ts";
import { runScript, type ServerScript, scratchFile, startServer } from "./processes.ts";
import { type Exchange, type Scenario, SEED } from "./scenarios.ts";
import { stamp } from "./stamp.ts";

/** How many connections the clients have. */
export const CONNECTIONS = 4;
const WARM_UP_SECONDS = 2;
/** Calls that create users are counted instead of timed: servers of any speed keep equally many users. */
const WARM_UP_CALLS = 50;
const CALLS_PER_SECOND = 50;
/** How long load.ts may take: much longer than any server that works. */
const GRACE_MS = 60_000;
const GRACE_MS_PER_SECOND = 10_000;

/** How to measure. */
export interface MeasureOptions {
  /** What every call bears. */
  readonly token: string;
  /** Length of the measured phase. */
  readonly seconds: number;
  /** Whether h2load drives the scenarios that it can. */
  readonly h2load: boolean;
}

/** Numbers the calls of a whole run. */
let nextNumber = 1;

/**
 * The calls per second that a server answers in a scenario. Before and after, one call proves that its answers are right.
 *
 * @throws Error if a call fails, or if its answer is wrong.
 */
export async function measure(server: ServerScript, scenario: Scenario, options: MeasureOptions): Promise<number> {
  await using running = await startServer(server);
  const { port } = running;
  const { token } = options;
  const ids = SEED.ids(await prove(port, SEED.method, token, SEED));
  const exchange = scenario.exchange(ids);
  const answer = await prove(port, scenario.method, token, exchange);

  const bodyFile = scratchFile("body");
  writeFileSync(bodyFile, exchange.body);
  const rate = await drive(
    {
      port,
      path: pathOf(scenario.method),
      token,
      bodyFile,
      places: exchange.places,
      firstNumber: nextNumber,
      answerBytes: answer.length,
      connections: CONNECTIONS,
      streams: scenario.streams,
      ...phases(exchange, options.seconds),
    },
    options,
  );
  await prove(port, scenario.method, token, exchange);
  return rate;
}

function phases({ places }: Exchange, seconds: number): { warmUp: Amount; measured: Amount } {
  return places === undefined
    ? { warmUp: { seconds: WARM_UP_SECONDS }, measured: { seconds } }
    : { warmUp: { calls: WARM_UP_CALLS }, measured: { calls: seconds * CALLS_PER_SECOND } };
}

async function drive(order: LoadOrder, { h2load, seconds }: MeasureOptions): Promise<number> {
  if (h2load && order.places === undefined) {
    await driveWithH2load(order, WARM_UP_SECONDS);
    return await driveWithH2load(order, seconds);
  }
  nextNumber += WARM_UP_CALLS + seconds * CALLS_PER_SECOND;
  const printed = await runScript("load.ts", JSON.stringify(order), GRACE_MS + seconds * GRACE_MS_PER_SECOND);
  const report = JSON.parse(printed) as LoadReport;
  if (report.errors > 0) throw new Error(`${report.errors} calls failed; the first: ${report.firstError}`);
  return report.calls / report.seconds;
}

/** Makes one call, and returns its answer once it is checked. */
async function prove(port: number, method: DescMethod, token: string, exchange: Exchange): Promise<Buffer> {
  const { body, places, check } = exchange;
  const session = open(port);
  try {
    const request = places === undefined ? body : stamp(body, places, nextNumber++);
    const answer = Buffer.concat(await call(session, requestHeaders(pathOf(method), token), request));
    check(answer);
    return answer;
  } catch (error) {
    throw new Error(`no right answer from ${pathOf(method)}`, { cause: error });
  } finally {
    session.destroy();
  }
}
