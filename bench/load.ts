/**
 * A load generator, run as a process of its own with a LoadOrder in JSON as its only argument. Prints a LoadReport in
 * JSON. Checks status and length of every answer.
 */
import { readFileSync } from "node:fs";
import type { ClientHttp2Session } from "node:http2";
import { call, open, requestHeaders } from "./client.ts";
import { type StampPlaces, stamp } from "./stamp.ts";

/** How long a phase goes on. */
export type Amount = { readonly calls: number } | { readonly seconds: number };

/** What to do. */
export interface LoadOrder {
  readonly port: number;
  readonly path: string;
  readonly token: string;
  /** File that holds the body of every call. */
  readonly bodyFile: string;
  /** If set, the calls are numbered from `firstNumber`, each in its own body. */
  readonly places?: StampPlaces | undefined;
  readonly firstNumber: number;
  /** Length of a right answer. */
  readonly answerBytes: number;
  readonly connections: number;
  /** Calls that each connection has open at a time. */
  readonly streams: number;
  readonly warmUp: Amount;
  readonly measured: Amount;
}

/** What came of it. */
export interface LoadReport {
  /** Calls of the measured phase. */
  readonly calls: number;
  readonly seconds: number;
  /** Calls of both phases that failed. */
  readonly errors: number;
  readonly firstError?: string | undefined;
}

const order = JSON.parse(process.argv[2] ?? "") as LoadOrder;
const body = readFileSync(order.bodyFile);
const headers = requestHeaders(order.path, order.token);
let nextNumber = order.firstNumber;
let errors = 0;
let firstError: string | undefined;

const sessions = Array.from({ length: order.connections }, () => open(order.port));
await run(sessions, order.warmUp);
const result = await run(sessions, order.measured);
for (const session of sessions) session.destroy();
process.stdout.write(`${JSON.stringify({ ...result, errors, firstError } satisfies LoadReport)}\n`);

async function run(on: readonly ClientHttp2Session[], amount: Amount): Promise<Pick<LoadReport, "calls" | "seconds">> {
  const start = performance.now();
  let calls = 0;
  const isOver = (): boolean =>
    errors > 0 || ("calls" in amount ? calls >= amount.calls : performance.now() - start >= amount.seconds * 1000);
  const keepCalling = async (session: ClientHttp2Session): Promise<void> => {
    while (!isOver()) {
      calls++;
      await callOnce(session);
    }
  };
  const lanes = on.flatMap((session) => Array.from({ length: order.streams }, () => keepCalling(session)));
  await Promise.all(lanes);
  return { calls, seconds: (performance.now() - start) / 1000 };
}

async function callOnce(session: ClientHttp2Session): Promise<void> {
  try {
    const request = order.places === undefined ? body : stamp(body, order.places, nextNumber++);
    const chunks = await call(session, headers, request);
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    if (length !== order.answerBytes) throw new Error(`an answer of ${length} bytes instead of ${order.answerBytes}`);
  } catch (error) {
    errors++;
    firstError ??= String(error);
  }
}
