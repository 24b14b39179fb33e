import { createHash, randomUUID } from "node:crypto";
import { toJson } from "@bufbuild/protobuf";
import { upload } from "../client/upload.ts";
import { openSource } from "../client/upload-source.ts";
import { EX_INTERRUPTED, EX_NOINPUT } from "../exit-codes.ts";
import { type UploadUserDataResponse, UploadUserDataResponseSchema } from "../gen/user/v1/upload_pb.ts";
import { CommandError, defineCommand, UsageError } from "./command.ts";
import { CONNECTION_EXITS, CONNECTION_OPTIONS, clientOf, explain, readConnection } from "./connection.ts";
import { ProgressBar } from "./progress-bar.ts";
import { reach } from "./target.ts";
import { paint, printable, type Terminal } from "./terminal.ts";

const FORMATS = ["csv", "ndjson"] as const;
type Format = (typeof FORMATS)[number];

/** Imports a file of users, and goes on where an interrupted import of the same file stopped. */
export const importUsers = defineCommand({
  about:
    "The same file goes on where its import was interrupted, and once it is imported is reported again: its upload id is made of its SHA-256.",
  operand: { name: "FILE", about: "a file of users, CSV or NDJSON" },
  options: {
    ...CONNECTION_OPTIONS,
    format: { type: "string", value: "FORMAT", about: "csv or ndjson (default: by the extension of the file)" },
    "upload-id": { type: "string", value: "UUID", about: "identifies the import, in place of the file's SHA-256" },
    again: { type: "boolean", about: "import the file anew, although it may have been before" },
    json: { type: "boolean", about: "print the report as JSON" },
  },
  examples: ["user-service import users.csv", "user-service import --format ndjson --json export.txt"],
  exits: {
    ...CONNECTION_EXITS,
    1: "rows could not be imported, or a call failed",
    [EX_INTERRUPTED]: "it was interrupted",
  },
  async run(values, path, terminal) {
    const format = readFormat(values.format ?? path.slice(path.lastIndexOf(".") + 1).toLowerCase());
    if (values.again && values["upload-id"] !== undefined) throw new UsageError("--again makes an --upload-id itself");
    const connection = await readConnection(values, terminal, "import");
    const uploadId = values.again ? randomUUID() : (values["upload-id"] ?? (await idOf(path, format)));
    await reach(connection);
    const { interrupted: signal } = terminal;
    try {
      using client = clientOf(connection);
      using bar = new ProgressBar(terminal.stderr);
      const report = await upload(client, path, {
        uploadId,
        format,
        signal,
        onProgress({ sentBytes, totalBytes, attempt }) {
          if (sentBytes === 0 && attempt > 1) bar.note(`interrupted, sending it again (attempt ${attempt})`);
          bar.show({ done: sentBytes, total: totalBytes });
          if (sentBytes === totalBytes) bar.note("sent, being imported");
        },
      });
      bar[Symbol.dispose]();
      show(report, values.json, terminal);
      return report.failedCount > 0n ? 1 : 0;
    } catch (error) {
      if (signal.aborted) {
        terminal.stderr.write("Interrupted. The same command goes on where it stopped.\n");
        return EX_INTERRUPTED;
      }
      throw explain(error, connection);
    }
  },
});

function readFormat(text: string): Format {
  const format = text === "jsonl" ? "ndjson" : FORMATS.find((each) => each === text);
  if (format !== undefined) return format;
  throw new UsageError("--format must be csv or ndjson, as the extension of the file does not tell");
}

/** The id of the import of a file: a UUID of version 8 (RFC 9562), made of its format and its SHA-256. */
async function idOf(path: string, format: Format): Promise<string> {
  try {
    await using source = await openSource(path, undefined);
    const bytes = createHash("sha256").update(format).update(source.sha256).digest().subarray(0, 16);
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  } catch (error) {
    throw new CommandError(EX_NOINPUT, error instanceof Error ? error.message : String(error));
  }
}

function show(report: UploadUserDataResponse, json: boolean, terminal: Terminal): void {
  if (json) {
    const shown = toJson(UploadUserDataResponseSchema, report, { alwaysEmitImplicit: true });
    terminal.stdout.write(`${JSON.stringify(shown, undefined, 2)}\n`);
    return;
  }
  const { rowCount, createdCount, updatedCount, skippedCount, failedCount, failures, uploadId } = report;
  for (const { line, field, reason, description } of failures) {
    const what = [field, description].filter((part) => part !== "").join(" ");
    terminal.stdout.write(`${paint(terminal, "red", `line ${line}`)}: ${printable(what)} (${reason})\n`);
  }
  const more = failedCount - BigInt(failures.length);
  if (more > 0n) terminal.stdout.write(`and ${more} more rows that could not be imported\n`);
  const counts = `${createdCount} created, ${updatedCount} updated, ${skippedCount} as they were, ${failedCount} failed`;
  terminal.stdout.write(`${rowCount} rows: ${counts}; upload id ${uploadId}\n`);
}
