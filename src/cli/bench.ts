import { create, type Message } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { EX_INTERRUPTED } from "../exit-codes.ts";
import { GetUserRequestSchema, UserService } from "../gen/user/v1/user_service_pb.ts";
import { defineCommand, UsageError } from "./command.ts";
import { CONNECTION_EXITS, CONNECTION_OPTIONS, explain, readConnection } from "./connection.ts";
import { describeLoad, type LoadResult, runLoad } from "./load.ts";
import { callMethod, findMethod, readRequests } from "./method-call.ts";
import { openTarget, type Target } from "./target.ts";
import { readCount, readDuration } from "./values.ts";

/** What `bench --json` prints. */
export interface BenchReport extends LoadResult {
  readonly address: string;
  readonly method: string;
  readonly concurrency: number;
  readonly connections: number;
}

/** Loads a live server with calls of one method, and tells how many it answers, and how fast. */
export const bench = defineCommand({
  about:
    "Each call is made when another has ended, so that a slower server gets fewer. One process of this command loads one core.",
  options: {
    ...CONNECTION_OPTIONS,
    method: {
      type: "string",
      value: "METHOD",
      about: "what is called, such as pkg.Service/Method",
      default: "GetUser",
    },
    data: {
      type: "string",
      value: "JSON",
      about: "what it is called with; an array for a stream of requests (default: {}, and for GetUser a new user's id)",
    },
    concurrency: { type: "string", value: "NUMBER", about: "how many calls at a time", default: "50" },
    connections: { type: "string", value: "NUMBER", about: "over how many connections", default: "1" },
    duration: { type: "string", value: "DURATION", about: "how long", default: "10s" },
    "warm-up": { type: "string", value: "DURATION", about: "calls before that, which are not counted", default: "1s" },
    json: { type: "boolean", about: "print the result as JSON" },
  },
  examples: [
    "user-service bench --duration 30s --concurrency 200 --connections 4",
    `user-service bench --method ListUsersPage --data '{"pageSize":100}' --json`,
  ],
  exits: { ...CONNECTION_EXITS, [EX_INTERRUPTED]: "it was interrupted; what was measured is printed" },
  async run(values, _operand, terminal) {
    const connections = readCount("connections", values.connections, 1, 1000);
    const concurrency = readCount("concurrency", values.concurrency, connections, 100_000);
    const durationMs = readDuration("duration", values.duration);
    const warmUpMs = values["warm-up"] === "0s" ? 0 : readDuration("warm-up", values["warm-up"]);
    const connection = await readConnection(values, terminal, "bench");
    const { address } = connection;
    const { interrupted: signal } = terminal;
    await using opened = new AsyncDisposableStack();
    const targets: Target[] = [];
    for (let count = 0; count < connections; count++) targets.push(opened.use(await openTarget(connection)));
    const [first] = targets;
    if (first === undefined) throw new UsageError("--connections must be at least 1");
    try {
      const method = await findMethod(first.transport, values.method);
      const needsUser = values.data === undefined && method === UserService.method.getUser;
      const requests = needsUser ? [await userRequest(first, opened)] : readRequests(method, values.data ?? "{}");
      let turn = 0;
      const call = () => {
        const { transport } = targets[turn++ % connections] ?? first;
        return callMethod(transport, { method, requests }, signal);
      };
      if (warmUpMs > 0) await runLoad(call, { concurrency, durationMs: warmUpMs, signal });
      const load = await runLoad(call, { concurrency, durationMs, signal });
      const name = `${method.parent.typeName}/${method.name}`;
      const report: BenchReport = { address, method: name, concurrency, connections, ...load };
      const title = `${name} at ${address}, ${concurrency} at a time over ${connections} connections`;
      const text = values.json ? JSON.stringify(report, undefined, 2) : [title, ...describeLoad(load)].join("\n  ");
      terminal.stdout.write(`${text}\n`);
      if (signal.aborted) return EX_INTERRUPTED;
      return load.successRate === 1 ? 0 : 1;
    } catch (error) {
      throw explain(error, connection);
    }
  },
});

/** What GetUser is asked for: a user who is deleted when all is done. */
async function userRequest({ transport }: Target, opened: AsyncDisposableStack): Promise<Message> {
  const users = createClient(UserService, transport);
  const { user } = await users.createUser({ email: `bench.${crypto.randomUUID()}@example.com`, name: "Bench" });
  const id = user?.id ?? "";
  // Best effort: what went wrong before says more than what goes wrong here.
  opened.defer(() =>
    users.deleteUser({ id }).then(
      () => {},
      () => {},
    ),
  );
  return create(GetUserRequestSchema, { id });
}
