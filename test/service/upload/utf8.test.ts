import { describe, expect, it } from "vitest";
import { utf8Chunks } from "../../../src/service/upload/utf8.ts";
import { faultOf } from "./rows.ts";

async function read(file: Buffer, pieceBytes: number): Promise<string> {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let start = 0; start < file.length; start += pieceBytes) yield file.subarray(start, start + pieceBytes);
  }
  return Buffer.concat(await Array.fromAsync(utf8Chunks(pieces()))).toString();
}

describe("UTF-8", () => {
  it("is what it was, in whatever pieces it comes", async () => {
    const text = "aé\n€uro 😀\r\n\u{10ffff}\ufffd\u0000\ufeff end 😀";
    for (let bytes = 1; bytes < 20; bytes++) expect(await read(Buffer.from(text), bytes)).toBe(text);
    expect(await read(Buffer.from("é"), 9)).toBe("é");
    expect(await read(Buffer.alloc(0), 9)).toBe("");
  });

  it("loses the mark at its beginning", async () => {
    expect(await read(Buffer.from("\ufeff\ufeffa"), 9)).toBe("\ufeffa");
    for (let bytes = 1; bytes < 5; bytes++) expect(await read(Buffer.from("\ufeffa"), bytes)).toBe("a");
  });

  it.each([
    ["a byte that begins nothing", [0x80]],
    ["a byte that is never there", [0xff]],
    ["a character that goes on as another", [0xc3, 0x41]],
    ["a character that is cut off", [0xe2, 0x82]],
    ["half of a character", [0xed, 0xa0, 0x80]],
    ["a character longer than it must be", [0xc0, 0xaf]],
    ["a character beyond the last", [0xf4, 0x90, 0x80, 0x80]],
  ])("is not %s, whose line is named", async (_what, bytes) => {
    const lines = Buffer.from("one\ntwo é\n😀");
    for (const tail of ["", "\n\nthree\n"]) {
      const file = Buffer.concat([lines, Buffer.from(bytes), Buffer.from(tail)]);
      for (let piece = 1; piece < 20; piece++) {
        expect(await faultOf(read(file, piece)), `${piece}`).toBe(
          "file: UTF8_INVALID: must be UTF-8, as line 3 is not",
        );
      }
    }
  });
});
