import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { failureOf } from "../support/errors.ts";
import { collect, streamOf } from "../support/server.ts";
import { emptyServices } from "./users.ts";

const emptyService = emptyServices();

describe("Chat", () => {
  it("answers every message with exactly one, in order, and ends after the half-close", async () => {
    const client = await emptyService();
    const messages = Array.from({ length: 1000 }, (_, index) => ({ userId: "ada", message: `message ${index}` }));
    const answers = await collect(client.chat(streamOf(...messages)));
    expect(answers.map(({ userId }) => userId)).toEqual(messages.map(() => "server"));
    expect(answers.map(({ message }) => message)).toEqual(messages.map(({ message }) => `Echo: ${message}`));
  });

  it("answers each message before the next is sent", async () => {
    const client = await emptyService();
    const heard: string[] = [];
    let answered = Promise.withResolvers<void>();
    async function* talk() {
      for (const message of ["one", "two", "three"]) {
        answered = Promise.withResolvers();
        yield { message };
        await answered.promise;
      }
    }
    for await (const { message } of client.chat(talk())) {
      heard.push(message);
      answered.resolve();
    }
    expect(heard).toEqual(["Echo: one", "Echo: two", "Echo: three"]);
  });

  it("copies the timestamp if there is one", async () => {
    const client = await emptyService();
    const timestamp = { ...timestampFromMs(1_750_000_000_000), nanos: 123_456_789 };
    const [timed, timeless] = await collect(client.chat(streamOf({ message: "a", timestamp }, { message: "b" })));
    expect(timed?.timestamp).toEqual(timestamp);
    expect(timeless?.timestamp).toBeUndefined();
  });

  it("ends with OK when the client says nothing", async () => {
    expect(await collect((await emptyService()).chat(streamOf()))).toEqual([]);
  });

  it("fails with INVALID_ARGUMENT when a message breaks a rule", async () => {
    const client = await emptyService();
    const stream = client.chat(streamOf({ message: "fine" }, { message: "bad", userId: "x".repeat(129) }));
    expect(await failureOf(collect(stream))).toMatchObject({
      code: "InvalidArgument",
      violations: ["messages[1].user_id: STRING_MAX_BYTES"],
    });
  });
});
