import type { Setting } from "../src/setting-schemas.ts";
import { SETTINGS } from "../src/settings.ts";

/** A row of a table of settings. */
export function settingRow(name: string, { about, allowed, fallback }: Setting): string {
  return `| \`${name}\` | ${about} | ${allowed} | ${fallback === undefined ? "" : `\`${fallback}\``} |`;
}

/** The page of the documentation that lists every setting. */
export function configurationPage(): string {
  const rows = Object.entries<Setting>(SETTINGS).map(([name, setting]) => settingRow(name, setting));
  return `# Configuration

Every setting, as \`src/settings.ts\` has it; \`npm run docs\` writes this page. Each is an environment variable and
a flag, which goes first: \`--http-port 8080\` overrides \`HTTP_PORT\`. An empty value counts as absent. A secret
(\`JWT_SECRET\`, \`PAGE_TOKEN_KEY\`, \`DATABASE_URL\`) can also be a file, named by the variable with the suffix
\`_FILE\`; it has no flag of its own, which other processes could see. A wrong configuration is reported whole,
and the process exits with status 78. [operations.md](operations.md#limits) gives the reasons for the limits.

| Variable | Decides | Allowed | Default |
|---|---|---|---|
${rows.join("\n")}
`;
}
