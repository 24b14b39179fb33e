import { describe, expect, it } from "vitest";
import { failureOf } from "../support/errors.ts";
import { probeClient, startProbe } from "../support/probe.ts";
import { collect, streamOf } from "../support/server.ts";

describe("validation", () => {
  it("lists every violation of a message, in the names of the contract", async () => {
    const client = probeClient(await startProbe());
    expect(await failureOf(client.public({ text: `${"x".repeat(65)}!`, number: -1 }))).toMatchObject({
      code: "InvalidArgument",
      message:
        "invalid request: text must be at most 64 bytes; text contains substring `!`; number must be greater than or equal to 0",
      violations: ["text: STRING_MAX_BYTES", "text: STRING_NOT_CONTAINS", "number: INT32_GTE"],
    });
  });

  it("keeps the handler from a message that breaks a rule, and lets it see those before", async () => {
    const seen: string[] = [];
    const server = await startProbe({
      async collect(requests) {
        for await (const { text } of requests) seen.push(text);
        return {};
      },
    });
    const requests = streamOf({ text: "one" }, { text: "two" }, { text: "three!" }, { text: "four" });
    expect(await failureOf(probeClient(server).collect(requests))).toMatchObject({
      violations: ["messages[2].text: STRING_NOT_CONTAINS"],
    });
    expect(seen.every((text) => ["one", "two"].includes(text))).toBe(true);
  });

  it("never starts a unary or server-streaming handler with such a message", async () => {
    let started = false;
    const server = await startProbe({
      public: async () => {
        started = true;
        return {};
      },
      // biome-ignore lint/correctness/useYield: the handler must never run, so it has nothing to yield
      async *produce() {
        started = true;
      },
    });
    const client = probeClient(server);
    await failureOf(client.public({ number: -1 }));
    await failureOf(collect(client.produce({ number: -1 })));
    expect(started).toBe(false);
  });

  it("calls off a handler whose stream breaks a rule", async () => {
    const { promise: calledOff, resolve } = Promise.withResolvers<unknown>();
    const server = await startProbe({
      async *converse(requests, { signal }) {
        signal.addEventListener("abort", () => resolve(signal.reason));
        for await (const { text } of requests) yield { text };
      },
    });
    const talk = collect(probeClient(server).converse(streamOf({ text: "fine" }, { text: "bad!" })));
    expect(await failureOf(talk)).toMatchObject({ violations: ["messages[1].text: STRING_NOT_CONTAINS"] });
    expect(await calledOff).toMatchObject({ name: "CallCancelledError" });
  });
});
