import { writeFile } from "node:fs/promises";
import { create, type DescMethod, type Message } from "@bufbuild/protobuf";
import { readFailure } from "../client/failure.ts";
import { EX_CANTCREAT, EX_INTERRUPTED, EX_UNAVAILABLE } from "../exit-codes.ts";
import { GetUserRequestSchema, UserService } from "../gen/user/v1/user_service_pb.ts";
import { type Check, CheckContext, Skip } from "./check/check.ts";
import { type CheckResult, describeReport, type LatencyResult, type Report } from "./check/report.ts";
import { GROUPS, type Survey, survey } from "./check/survey.ts";
import { CommandError, defineCommand, UsageError } from "./command.ts";
import {
  CONNECTION_EXITS,
  CONNECTION_OPTIONS,
  type Connection,
  inPlainText,
  readConnection,
  wantsTls,
} from "./connection.ts";
import { runLoad } from "./load.ts";
import { callMethod, findMethod, readRequests } from "./method-call.ts";
import { openTarget } from "./target.ts";
import type { Terminal } from "./terminal.ts";
import { readCount } from "./values.ts";

/** What of the latency is measured. */
interface LatencyOptions {
  /** Undefined for GetUser, where users are served, and otherwise for nothing. */
  readonly method: string | undefined;
  readonly data: string | undefined;
  readonly iterations: number;
  readonly concurrency: number;
}

const DEFAULT_METHOD = "GetUser";

/** Checks a running server: what it answers, how it fails, and how fast it is. */
export const check = defineCommand({
  about:
    "Wants the token of an admin. The users that it creates are deleted at the end. A server without user.v1.UserService is asked for its health and its reflection, and with --method for its latency.",
  options: {
    ...CONNECTION_OPTIONS,
    group: { type: "string", value: "GROUP", about: `only these: ${GROUPS.join(", ")}`, multiple: true },
    method: {
      type: "string",
      value: "METHOD",
      about: `whose latency is measured, such as pkg.Service/Method (default: ${DEFAULT_METHOD})`,
    },
    data: { type: "string", value: "JSON", about: "what it is called with; an array for a stream of requests" },
    iterations: { type: "string", value: "NUMBER", about: "how often; 0 to leave it out", default: "100" },
    concurrency: { type: "string", value: "NUMBER", about: "how many calls at a time", default: "1" },
    json: { type: "boolean", about: "print the report as JSON" },
    output: { type: "string", value: "FILE", about: "write the report to a file" },
  },
  examples: [
    "user-service check",
    "user-service check --address users.example.com:443 --tls --json | jq .ok",
    "user-service check --group health --group reflection --iterations 0",
    `user-service check --method grpc.health.v1.Health/Check --data '{"service":"user.v1.UserService"}' --concurrency 10`,
  ],
  exits: { ...CONNECTION_EXITS, 1: "something does not hold", [EX_CANTCREAT]: "the report cannot be written" },
  async run(values, _operand, terminal) {
    const unknown = values.group.find((group) => !GROUPS.includes(group));
    if (unknown !== undefined) throw new UsageError(`--group must be one of ${GROUPS.join(", ")}`);
    const latency = {
      method: values.method,
      data: values.data,
      iterations: readCount("iterations", values.iterations, 0, 10_000_000),
      concurrency: readCount("concurrency", values.concurrency, 1, 10_000),
    };
    const connection = await readConnection(values, terminal, "check");
    const { report, exitCode } = await examine(connection, values.group, latency, terminal);
    const text = values.json ? `${JSON.stringify(report, undefined, 2)}\n` : describeReport(report, terminal);
    if (values.output === undefined) terminal.stdout.write(text);
    else await writeReport(values.output, text);
    return exitCode;
  },
});

async function examine(
  connection: Connection,
  groups: readonly string[],
  options: LatencyOptions,
  { interrupted: signal, stderr }: Terminal,
): Promise<{ report: Report; exitCode: number }> {
  const { address } = connection;
  const began = performance.now();
  try {
    using known = await openTarget(connection);
    using anonymous = await openTarget({ ...connection, token: undefined });
    const context = new CheckContext({
      transport: known.transport,
      anonymous: anonymous.transport,
      key: connection.key,
      signal,
    });
    const found = await survey(context);
    const wanted = await findCall(context, found, options);
    const checks: CheckResult[] = [];
    try {
      for (const each of found.checks) {
        if (!signal.aborted && (groups.length === 0 || groups.includes(each.group)))
          checks.push(await run(each, context));
      }
      const latency = await measure(context, wanted, options);
      if (typeof latency === "string")
        checks.push({ name: "calls can be made", group: "latency", ok: false, durationMs: 0, error: latency });
      const measured = typeof latency === "string" ? undefined : latency;
      const ok = checks.every((each) => each.ok) && (measured === undefined || measured.successRate === 1);
      const report = {
        address,
        ok: ok && !signal.aborted,
        checks,
        ...(measured !== undefined && { latency: measured }),
      };
      return { report, exitCode: signal.aborted ? EX_INTERRUPTED : Number(!ok) };
    } finally {
      const left = await context.cleanUp();
      if (left > 0) stderr.write(`${left} users that were created could not be deleted\n`);
    }
  } catch (thrown) {
    const error = wantsTls(thrown) ? inPlainText(address) : thrown;
    if (!(error instanceof CommandError) || error.exitCode !== EX_UNAVAILABLE) throw error;
    const durationMs = Math.round(performance.now() - began);
    const connects = {
      name: "the server can be reached",
      group: "connection",
      ok: false,
      durationMs,
      error: error.message,
    };
    return { report: { address, ok: false, checks: [connects] }, exitCode: EX_UNAVAILABLE };
  }
}

async function run(check: Check, context: CheckContext): Promise<CheckResult> {
  const { name, group } = check;
  const began = performance.now();
  const end = (): number => Math.round((performance.now() - began) * 1000) / 1000;
  try {
    await check.run(context);
    return { name, group, ok: true, durationMs: end() };
  } catch (error) {
    if (error instanceof Skip) return { name, group, ok: true, durationMs: end(), skipped: error.message };
    return { name, group, ok: false, durationMs: end(), error: reasonOf(error) };
  }
}

/** A method whose latency is wanted. Without requests, it is GetUser, which a user is needed for. */
interface WantedCall {
  readonly method: DescMethod;
  readonly requests: readonly Message[] | undefined;
}

/** What is called to measure the latency; undefined for nothing. */
async function findCall(
  { transport }: CheckContext,
  { servesUsers, refused }: Survey,
  { method: name = servesUsers ? DEFAULT_METHOD : undefined, data, iterations }: LatencyOptions,
): Promise<WantedCall | undefined> {
  if (name === undefined || iterations === 0 || refused !== undefined) return undefined;
  const method = await findMethod(transport, name);
  const needsUser = data === undefined && method === UserService.method.getUser;
  return { method, requests: needsUser ? undefined : readRequests(method, data ?? "{}") };
}

/** Measures how long calls take. A text tells why that cannot be done. */
async function measure(
  context: CheckContext,
  wanted: WantedCall | undefined,
  { concurrency, iterations }: LatencyOptions,
): Promise<LatencyResult | string | undefined> {
  const { signal } = context;
  if (wanted === undefined || signal.aborted) return undefined;
  const { method } = wanted;
  try {
    const requests = wanted.requests ?? [create(GetUserRequestSchema, { id: (await context.createUser()).id })];
    const call = { method, requests };
    const load = await runLoad(() => callMethod(context.transport, call, signal), { concurrency, iterations, signal });
    return { method: `${method.parent.typeName}/${method.name}`, concurrency, ...load };
  } catch (error) {
    return reasonOf(error);
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === "CheckError") return error.message;
  const { code, message } = readFailure(error);
  return `${code}: ${message}`;
}

async function writeReport(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (error) {
    throw new CommandError(EX_CANTCREAT, error instanceof Error ? error.message : String(error));
  }
}
