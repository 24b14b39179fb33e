import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { SpoolUnavailableError } from "../../../src/domain/errors.ts";
import { Spool } from "../../../src/service/upload/spool.ts";

const NEVER = new AbortController().signal;

async function openSpool(): Promise<{ spool: Spool; directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), "spool-"));
  const spool = await Spool.open(directory);
  onTestFinished(async () => {
    await spool[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });
  return { spool, directory };
}

describe("a spool", () => {
  it("gives back what was put into it, as often as one likes", async () => {
    const { spool } = await openSpool();
    const pieces = [1, 100_000, 0, 3].map((length, index) => Buffer.alloc(length, index + 1));
    for (const piece of pieces) await spool.add(piece);
    const whole = Buffer.concat(pieces);
    expect(spool.size).toBe(whole.length);
    expect(spool.sha256()).toEqual(createHash("sha256").update(whole).digest());
    for (let round = 0; round < 2; round++) {
      const read = Buffer.concat(await Array.fromAsync(spool.read(NEVER)));
      expect(read.equals(whole)).toBe(true);
    }
  });

  it("has no name, by which others could open it or it could be left behind", async () => {
    const { spool, directory } = await openSpool();
    await spool.add(Buffer.from("secret"));
    expect(await readdir(directory)).toEqual([]);
  });

  it("may be empty", async () => {
    const { spool } = await openSpool();
    expect(await Array.fromAsync(spool.read(NEVER))).toEqual([]);
    expect(spool.sha256()).toEqual(createHash("sha256").digest());
  });

  it("stops to be read when that is called off", async () => {
    const { spool } = await openSpool();
    await spool.add(Buffer.alloc(200_000));
    const calling = new AbortController();
    const reason = new Error("called off");
    const chunks = spool.read(calling.signal);
    await chunks.next();
    calling.abort(reason);
    await expect(chunks.next()).rejects.toBe(reason);
  });

  it("cannot be where there is no directory", async () => {
    await expect(Spool.open("/nowhere/at/all")).rejects.toBeInstanceOf(SpoolUnavailableError);
  });

  it("tells that the disk does not take any more", async () => {
    const { spool } = await openSpool();
    await spool[Symbol.asyncDispose]();
    await expect(spool.add(Buffer.from("x"))).rejects.toBeInstanceOf(SpoolUnavailableError);
  });
});
