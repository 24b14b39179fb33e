import { describe, expect, it } from "vitest";
import { type OpenCall, OpenCalls } from "../../src/interceptors/open-calls.ts";

function openCalls(names: readonly string[]) {
  const calls = new OpenCalls();
  const ended: string[] = [];
  const opened = names.map((name): OpenCall => ({ place: 0, endIfPiecemeal() {}, end: () => ended.push(name) }));
  for (const call of opened) calls.add(call);
  return { calls, opened, ended };
}

describe("OpenCalls", () => {
  it.each([
    { first: 0, left: ["c", "b"] },
    { first: 1, left: ["a", "c"] },
    { first: 2, left: ["a", "b"] },
  ])("knows which calls are left when the one at $first has ended, also when it is told twice", ({ first, left }) => {
    const { calls, opened, ended } = openCalls(["a", "b", "c"]);
    const gone = opened.slice(first, first + 1);
    for (const call of [...gone, ...gone]) calls.delete(call);
    expect(calls.size).toBe(2);
    calls.end(new Error("stop"));
    expect(ended).toEqual(left);
  });

  it("ends calls that leave as they are ended", () => {
    const calls = new OpenCalls();
    let ended = 0;
    for (let index = 0; index < 3; index++) {
      const call: OpenCall = {
        endIfPiecemeal() {},
        place: 0,
        end: () => {
          ended++;
          calls.delete(call);
        },
      };
      calls.add(call);
    }
    calls.end(new Error("stop"));
    expect({ ended, size: calls.size }).toEqual({ ended: 3, size: 0 });
  });

  it("is idle when the last call has ended", async () => {
    const { calls, opened } = openCalls(["a", "b"]);
    const idle = calls.idle();
    for (const call of opened) calls.delete(call);
    await idle;
    await calls.idle();
  });
});
