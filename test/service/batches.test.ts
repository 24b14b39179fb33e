import { describe, expect, it } from "vitest";
import { Batches } from "../../src/service/batches.ts";
import { collect, streamOf } from "../support/server.ts";

describe("Batches", () => {
  it("yields the items of all batches in order", async () => {
    expect(await collect(new Batches(streamOf([1, 2, 3], [4], [5, 6])))).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("yields nothing for empty batches", async () => {
    expect(await collect(new Batches(streamOf([], [1], [], [], [2], [])))).toEqual([1, 2]);
  });

  it("yields nothing when there are no batches", async () => {
    expect(await collect(new Batches(streamOf<number[]>()))).toEqual([]);
  });

  it("hands out the batches as they are", async () => {
    const source = streamOf([1, 2], [3]);
    expect(new Batches(source).batches).toBe(source);
  });

  it("asks for a batch only when the one before is used up", async () => {
    const asked: string[] = [];
    async function* source() {
      asked.push("first");
      yield [1, 2];
      asked.push("second");
      yield [3];
    }
    const items = new Batches(source())[Symbol.asyncIterator]();
    expect(asked).toEqual([]);
    await items.next();
    await items.next();
    expect(asked).toEqual(["first"]);
    await items.next();
    expect(asked).toEqual(["first", "second"]);
  });

  it("closes its source when the reader leaves early", async () => {
    const events: string[] = [];
    async function* source() {
      try {
        yield [1, 2];
        events.push("went on");
      } finally {
        events.push("closed");
      }
    }
    for await (const item of new Batches(source())) {
      events.push(`read ${item}`);
      break;
    }
    expect(events).toEqual(["read 1", "closed"]);
  });

  it("passes on an error of its source, after the items before it", async () => {
    const fault = new Error("the source broke");
    async function* source() {
      yield [1, 2];
      throw fault;
    }
    const read: number[] = [];
    async function readAll() {
      for await (const item of new Batches(source())) read.push(item);
    }
    await expect(readAll()).rejects.toBe(fault);
    expect(read).toEqual([1, 2]);
  });

  it("closes its source when the reader throws", async () => {
    const fault = new Error("the reader broke");
    let closed = false;
    async function* source() {
      try {
        yield [1, 2];
      } finally {
        closed = true;
      }
    }
    async function readAll() {
      for await (const _ of new Batches(source())) throw fault;
    }
    await expect(readAll()).rejects.toBe(fault);
    expect(closed).toBe(true);
  });
});
