import { samplesAbout } from "./corpus.ts";
import { FuzzCaller, type Outcome } from "./fuzz-caller.ts";
import { type FuzzCase, fuzzCase } from "./fuzz-case.ts";

/** Calls that are under way at a time on each connection. */
const CALLS_IN_FLIGHT = 8;

/** What a call may come to whose request was damaged, or is still in order: UNKNOWN, CANCELLED and UNAVAILABLE are not among it. */
const EXPECTED: ReadonlySet<string> = new Set([
  "OK",
  "INVALID_ARGUMENT",
  "INTERNAL",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "DATA_LOSS",
  "RESOURCE_EXHAUSTED",
  "UNIMPLEMENTED",
  "DEADLINE_EXCEEDED",
]);

export interface FuzzOptions {
  readonly port: number;
  readonly token: string;
  readonly userId: string;
  readonly seed: number;
  readonly cases: number;
  readonly connections?: number;
}

export interface FuzzFigures {
  /** How many calls came to each code. */
  readonly codes: Readonly<Record<string, number>>;
  /** Those that came to what no call may, each with what repeats it. */
  readonly faults: readonly string[];
}

/** Makes as many damaged calls as it is told to, or only the one whose number is in the environment variable CASE. */
export async function fuzz({ port, token, userId, seed, cases, connections = 1 }: FuzzOptions): Promise<FuzzFigures> {
  const samples = samplesAbout(userId);
  const only = process.env.CASE;
  let next = only === undefined ? 0 : Number(only);
  const end = only === undefined ? cases : next + 1;
  const codes: Record<string, number> = {};
  const faults: string[] = [];
  const callers = Array.from({ length: connections }, () => new FuzzCaller(port, token));
  await Promise.all(
    callers.flatMap((caller) =>
      Array.from({ length: CALLS_IN_FLIGHT }, async () => {
        while (next < end) {
          const index = next++;
          const made = fuzzCase(samples, seed, index);
          const outcome = await caller.call(made);
          codes[outcome.code] = (codes[outcome.code] ?? 0) + 1;
          const fault = faultOf(made, outcome);
          if (fault !== undefined) faults.push(`SEED=${seed} CASE=${index}: ${made.method.name} ${fault}`);
        }
      }),
    ),
  );
  for (const caller of callers) caller.close();
  return { codes, faults };
}

/** Streams and timeouts that are meant to end by their deadline. */
function mayExpire({ method, headers }: FuzzCase): boolean {
  return method.name === "WatchUsers" || method.name === "Watch" || headers["grpc-timeout"] !== undefined;
}

function faultOf(made: FuzzCase, { code, detailed }: Outcome): string | undefined {
  if (!EXPECTED.has(code)) return `came to ${code}`;
  if (code !== "OK" && !detailed) return `failed with ${code} and no details`;
  if (code === "DEADLINE_EXCEEDED" && !mayExpire(made)) return "took too long";
  return undefined;
}
