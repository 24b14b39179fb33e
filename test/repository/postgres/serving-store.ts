import { onTestFinished } from "vitest";
import type { Store } from "../../../src/repository/postgres/store.ts";
import { openFound } from "../../support/store.ts";

/** Opens a store on a database, as each replica does, and returns it once it serves calls. It is closed after the test. */
export async function servingStore(url: string): Promise<Store> {
  const store = await openFound(url);
  onTestFinished(() => store.close());
  return store;
}
