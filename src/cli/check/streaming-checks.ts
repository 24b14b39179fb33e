import { createHash, randomUUID } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { UploadFormat } from "../../gen/user/v1/upload_pb.ts";
import { ChatMessageType } from "../../gen/user/v1/user_service_pb.ts";
import { WatchEventType, WatchEventTypeSchema } from "../../gen/user/v1/watch_pb.ts";
import { streamOf } from "../stream-of.ts";
import { type Check, CheckError, ensure } from "./check.ts";

/** One check or two for each RPC that streams. */
export const STREAMING_CHECKS: readonly Check[] = [
  {
    group: "server streaming",
    name: "ListUsers streams one page",
    async run(context) {
      await context.createUser();
      await context.createUser();
      const users = await Array.fromAsync(context.users.listUsers({ pageSize: 2 }, context));
      ensure(users.length === 2, `a page of two had ${users.length} users`);
    },
  },
  {
    group: "server streaming",
    name: "WatchUsers tells of a change, and goes on with a resume_token",
    async run(context) {
      let createdId = "";
      let token = "";
      await context.streaming(async (signal) => {
        for await (const event of context.users.watchUsers({}, { signal })) {
          // Whatever happens after the first event, comes.
          if (createdId === "") {
            token = event.resumeToken;
            createdId = (await context.createUser()).id;
          }
          if (event.userId === createdId) return checkCreated(event.type, event.user?.id === createdId);
        }
        throw new CheckError("the watch ended by itself");
      });
      await context.streaming(async (signal) => {
        for await (const event of context.users.watchUsers({ resumeToken: token }, { signal })) {
          if (event.userId === createdId) return checkCreated(event.type, true);
        }
        throw new CheckError("the resumed watch ended by itself");
      });
    },
  },
  {
    group: "client streaming",
    name: "CreateUsers creates all users of a stream",
    async run(context) {
      const names = ["Grace Check", "Alan Check", "Zoë Check"];
      const requests = names.map((name) => ({ name, email: context.email(), requestId: randomUUID() }));
      const answer = await context.users.createUsers(streamOf(...requests), context);
      context.keep(...answer.userIds);
      ensure(
        answer.createdCount === 3 && answer.userIds.length === 3,
        `created_count is ${answer.createdCount}, not 3`,
      );
      const { users } = await context.users.batchGetUsers({ ids: answer.userIds }, context);
      ensure(users.map(({ name }) => name).join() === names.join(), "the ids are not in the order of the stream");
    },
  },
  {
    group: "client streaming",
    name: "UploadUserData imports a file, and reports each row",
    async run(context) {
      const { email: known } = await context.createUser();
      const fresh = context.email();
      const file = Buffer.from(`email,name\n${known},Renamed\n${fresh},Imported\nnobody,Nobody\n`);
      const sha256 = createHash("sha256").update(file).digest();
      const header = { uploadId: randomUUID(), format: UploadFormat.CSV, sizeBytes: BigInt(file.length), sha256 };
      const upload = async () =>
        context.users.uploadUserData(
          streamOf(
            { part: { case: "header", value: header } } as const,
            { part: { case: "chunk", value: { data: file } } } as const,
          ),
          context,
        );
      // An import does not tell the ids of those whom it creates. They are wanted, to be deleted.
      const report = await context.streaming(async (signal) => {
        let uploading: ReturnType<typeof upload> | undefined;
        for await (const { user } of context.users.watchUsers({}, { signal })) {
          uploading ??= upload();
          // It is awaited below, unless the watch fails first.
          uploading.catch(() => {});
          if (user?.email !== fresh) continue;
          context.keep(user.id);
          return uploading;
        }
        throw new CheckError("the watch ended by itself");
      });
      const { createdCount, updatedCount, failedCount, failures } = report;
      ensure(createdCount === 1n, `${createdCount} rows created a user, and one should have`);
      ensure(updatedCount === 1n, `${updatedCount} rows changed a user, and one should have`);
      ensure(failedCount === 1n && failures[0]?.line === 4n, "the row that is wrong is not reported");
    },
  },
  {
    group: "bidirectional",
    name: "Chat answers each message with one, in order",
    async run(context) {
      const timestamp = timestampFromMs(1_234_567);
      const sent = ["one", "two", "three"];
      const messages = sent.map((message) => ({ userId: "check", message, timestamp }));
      const answers = await Array.fromAsync(context.users.chat(streamOf(...messages), context));
      ensure(
        answers.map(({ message }) => message).join() === sent.map((message) => `Echo: ${message}`).join(),
        `the answers are ${answers.map(({ message }) => message).join(", ")}`,
      );
      ensure(
        answers.every((each) => each.userId === "server"),
        "an answer is not from the server",
      );
      ensure(
        answers.every((each) => each.timestamp?.seconds === timestamp.seconds),
        "a timestamp is not copied",
      );
    },
  },
  {
    group: "bidirectional",
    name: "Chat posts to a room, with sequences",
    async run(context) {
      const room = `check ${randomUUID()}`;
      const messages = [{ type: ChatMessageType.JOIN }, { message: "one" }, { message: "two" }];
      const stream = streamOf(...messages.map((message) => ({ ...message, userId: "check", room })));
      const events = await Array.fromAsync(context.users.chat(stream, context));
      ensure(
        events.some(({ type }) => type === ChatMessageType.JOINED),
        "joining was not told",
      );
      const texts = events.filter(({ type }) => type === ChatMessageType.TEXT);
      const shown = texts.map(({ sequence, message }) => `${sequence} ${message}`).join();
      ensure(shown === "1 one,2 two", `the room delivered: ${shown}`);
    },
  },
  {
    group: "bidirectional",
    name: "CollaborativeEdit applies an operation",
    async run(context) {
      const { id: userId } = await context.createUser();
      const steps = [{ step: { case: "insert", value: "checked" } as const }];
      const operation = { operationId: randomUUID(), baseRevision: 0n, steps };
      const requests = streamOf(
        { request: { case: "open", value: { userId } } } as const,
        { request: { case: "operation", value: operation } } as const,
      );
      let applied = false;
      for await (const { event } of context.users.collaborativeEdit(requests, context)) {
        if (event.case === "operation") applied = true;
      }
      ensure(applied, "the operation did not come back");
      const { user } = await context.users.getUser({ id: userId }, context);
      ensure(user?.profile?.bio === "checked", `the bio is ${JSON.stringify(user?.profile?.bio ?? "")}`);
    },
  },
];

function checkCreated(type: WatchEventType, hasUser: boolean): void {
  ensure(type === WatchEventType.CREATED, `the event is a ${WatchEventTypeSchema.value[type]?.localName}, not CREATED`);
  ensure(hasUser, "the event comes without the user");
}
