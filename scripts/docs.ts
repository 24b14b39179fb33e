/** Writes the pages of docs/ that are made from the contract and from the settings. Usage: `npm run docs`. */
import { writeFileSync } from "node:fs";
import { authorizationPage } from "./authorization-page.ts";
import { configurationPage } from "./configuration-page.ts";

writeFileSync(new URL("../docs/authorization.md", import.meta.url), authorizationPage());
writeFileSync(new URL("../docs/configuration.md", import.meta.url), configurationPage());
