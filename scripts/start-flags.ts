import { readFileSync } from "node:fs";

/** The options of Node.js with which `npm start` runs the service: whoever measures it runs it like that. */
export const START_FLAGS: readonly string[] = (() => {
  const { scripts } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    readonly scripts: { readonly start: string };
  };
  return scripts.start.split(" ").filter((word) => word.startsWith("--"));
})();
