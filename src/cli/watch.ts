import { toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { watch as watchUsers } from "../client/watch.ts";
import {
  WatchEventType,
  WatchEventTypeSchema,
  type WatchUsersResponse,
  WatchUsersResponseSchema,
} from "../gen/user/v1/watch_pb.ts";
import { defineCommand } from "./command.ts";
import { CONNECTION_EXITS, CONNECTION_OPTIONS, causeOf, clientOf, explain, readConnection } from "./connection.ts";
import { reach } from "./target.ts";
import { paint, printable, type Terminal, write } from "./terminal.ts";

const COLOURS = { CREATED: "green", UPDATED: "yellow", DELETED: "red" } as const;

/** Shows changes of users as they happen, on any replica, without a gap. */
export const watch = defineCommand({
  about: "Goes on by itself when a connection is lost, without missing a change. Ctrl-C ends it.",
  options: {
    ...CONNECTION_OPTIONS,
    snapshot: { type: "boolean", about: "begin with all users there are" },
    "resume-token": { type: "string", value: "TOKEN", about: "go on after the event that had this token" },
    json: { type: "boolean", about: "print one JSON object on each line: a WatchUsersResponse" },
  },
  examples: ["user-service watch", "user-service watch --snapshot --json | jq -r .user.email"],
  exits: CONNECTION_EXITS,
  async run(values, _operand, terminal) {
    const connection = await readConnection(values, terminal, "watch");
    await reach(connection);
    const { interrupted } = terminal;
    const resumeToken = values["resume-token"];
    try {
      using client = clientOf(connection);
      await using events = watchUsers(client, {
        signal: interrupted,
        snapshot: values.snapshot,
        ...(resumeToken !== undefined && { resumeToken }),
        onInterrupted: ({ rawMessage }) =>
          void terminal.stderr.write(`interrupted, going on: ${causeOf(rawMessage)}\n`),
      });
      try {
        for await (const event of events) {
          const text = values.json
            ? JSON.stringify(toJson(WatchUsersResponseSchema, event))
            : describe(event, terminal);
          await write(terminal, `${text}\n`);
        }
      } catch (error) {
        if (!interrupted.aborted) throw error;
      }
      if (events.resumeToken !== "") terminal.stderr.write(`go on with: --resume-token ${events.resumeToken}\n`);
      return 0;
    } catch (error) {
      throw explain(error, connection);
    }
  },
});

function describe({ type, userId, user, changedAt }: WatchUsersResponse, terminal: Terminal): string {
  if (type === WatchEventType.SNAPSHOT_END) return paint(terminal, "dim", "these are all users; changes follow");
  const { localName = "UNSPECIFIED" } = WatchEventTypeSchema.value[type] ?? {};
  const time = changedAt ?? user?.createdAt;
  const colour = COLOURS[localName as keyof typeof COLOURS] ?? "dim";
  return [
    time === undefined ? "".padEnd(24) : timestampDate(time).toISOString(),
    paint(terminal, colour, localName.toLowerCase().padEnd(8)),
    printable(userId),
    printable(user?.name ?? ""),
  ]
    .join("  ")
    .trimEnd();
}
