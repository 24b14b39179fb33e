import { type ImportReport, type ImportRow, type Imports, rowCountOf, type Upload } from "../../repository/imports.ts";
import type { WriteScope } from "../../repository/scope.ts";
import type { FileRow } from "./file-row.ts";

/** So many rows are applied at a time, unless they are large: what a transaction holds, others wait for. */
const MAX_ROWS = 250;
const MAX_LENGTH = 2 ** 20;

/** What importing rows takes. */
export interface ImportParts {
  readonly imports: Imports;
  /** Called whenever users have changed, or may have. */
  readonly announce: () => void;
  readonly toImportRow: (row: FileRow) => ImportRow;
}

/**
 * Imports the rows of an upload, some at a time, as far as an earlier call has not, and tells what has become of all of
 * them. A call that ends before has imported the first of them.
 */
export async function importRows(
  rows: AsyncIterable<FileRow>,
  upload: Upload,
  { imports, announce, toImportRow }: ImportParts,
  scope: WriteScope,
): Promise<ImportReport> {
  let report = await imports.begin(upload, scope);
  let batch: ImportRow[] = [];
  let length = 0;
  let seen = 0;

  async function applyBatch(): Promise<void> {
    length = 0;
    while (batch.length > 0) {
      scope.signal.throwIfAborted();
      const first = seen - batch.length;
      try {
        report = await imports.apply(upload, first, batch, scope);
      } finally {
        announce();
      }
      // More than the batch, where another call is ahead of this one.
      batch = batch.slice(rowCountOf(report) - first);
    }
  }

  for await (const row of rows) {
    seen++;
    if (seen <= rowCountOf(report)) continue;
    batch.push(toImportRow(row));
    length += row.length;
    if (batch.length === MAX_ROWS || length >= MAX_LENGTH) await applyBatch();
  }
  await applyBatch();
  return report;
}
