import { pipeline } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { CsvError, parse } from "csv-parse";
import { type CreateUserRequest, CreateUserRequestSchema } from "../../gen/user/v1/user_service_pb.ts";
import { type CsvColumn, readHeader } from "./csv-columns.ts";
import { type FileRow, faulty, MAX_ROW_BYTES, rowTooLarge, unreadable } from "./file-row.ts";

interface Fields {
  readonly line: number;
  readonly texts: readonly string[];
}

const FAULTS: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: "a quote that is never closed",
  CSV_INVALID_CLOSING_QUOTE: "something between a closing quote and the comma or the end of the line",
  INVALID_OPENING_QUOTE: "a quote in a field that does not begin with one",
};

/**
 * Reads the rows of a CSV file (RFC 4180) in UTF-8, without those that are blank.
 *
 * @throws InvalidInputError naming line and column, if it is not CSV, or if its header is not as the contract says.
 */
export async function* csvRows(chunks: AsyncIterable<Buffer>): AsyncGenerator<FileRow> {
  let columns: readonly CsvColumn[] | undefined;
  for await (const { line, texts } of readFields(chunks)) {
    if (columns === undefined) columns = readHeader(texts);
    else yield toRow(line, texts, columns);
  }
  if (columns === undefined) readHeader([]);
}

function toRow(line: number, texts: readonly string[], columns: readonly CsvColumn[]): FileRow {
  return {
    line,
    length: texts.reduce((sum, { length }) => sum + length, 0),
    toRequest() {
      if (texts.length !== columns.length) {
        throw faulty("", "FIELD_COUNT", `must have ${columns.length} fields, as the first line of the file has`);
      }
      const request: CreateUserRequest = create(CreateUserRequestSchema);
      for (const [index, write] of columns.entries()) {
        const text = texts[index] ?? "";
        if (text !== "") write(request, text);
      }
      return request;
    },
  };
}

async function* readFields(chunks: AsyncIterable<Buffer>): AsyncGenerator<Fields> {
  // Counted here, because the parser counts a line break of two characters within quotes twice.
  let line = 1;
  let skipped = 0;
  // Of the rows that the parser has read, and nobody has taken from it.
  const lines: number[] = [];
  const parser = parse({
    record_delimiter: ["\r\n", "\n"],
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MAX_ROW_BYTES,
    on_record(texts, { empty_lines: emptyLines }) {
      const begin = line + emptyLines - skipped;
      line = begin;
      skipped = emptyLines;
      line += 1 + countLineBreaks(texts);
      if (texts.length === 1 && texts[0] === "") return null;
      lines.push(begin);
      return texts;
    },
  });
  // What goes wrong with the chunks comes out of the parser.
  pipeline(chunks, parser, () => {});
  try {
    for await (const texts of parser as AsyncIterable<string[]>) yield { line: lines.shift() ?? line, texts };
  } catch (error) {
    throw error instanceof CsvError ? describe(error, line) : error;
  }
}

function countLineBreaks(texts: readonly string[]): number {
  let count = 0;
  for (const text of texts) {
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count++;
  }
  return count;
}

/** What is wrong with the row that begins on a line. The texts of the parser hold values. */
function describe({ code, column }: CsvError & { readonly column?: unknown }, line: number): Error {
  if (code === "CSV_MAX_RECORD_SIZE") return rowTooLarge(line);
  const where = `line ${line}${typeof column === "number" ? `, column ${column + 1}` : ""}`;
  return unreadable(
    "CSV_INVALID",
    `must be CSV (RFC 4180), but has ${FAULTS[code] ?? "a fault"} in the row on ${where}`,
  );
}
