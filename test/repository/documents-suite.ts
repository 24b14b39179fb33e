import { documentEditsContract } from "./suite/document-edits.ts";
import { documentReadsContract } from "./suite/document-reads.ts";
import type { DocumentStore } from "./suite/documents.ts";

/** Holds an adapter to the contract of Documents: one test per promise. `create` makes an empty store, and releases it by itself. */
export function documentsContract(name: string, create: () => Promise<DocumentStore>): void {
  documentReadsContract(name, create);
  documentEditsContract(name, create);
}
