/** Writes the pages of docs/ that are made from the contract. Usage: `npm run docs`. */
import { writeFileSync } from "node:fs";
import { authorizationPage } from "./authorization-page.ts";

writeFileSync(new URL("../docs/authorization.md", import.meta.url), authorizationPage());
