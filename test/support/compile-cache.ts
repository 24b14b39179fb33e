import { fileURLToPath } from "node:url";

/** What processes of tests have in their environment, so that not each of them compiles the service again. */
export const COMPILE_CACHE: Readonly<Record<string, string>> = {
  NODE_COMPILE_CACHE: fileURLToPath(new URL("../../node_modules/.cache/compile", import.meta.url)),
};
