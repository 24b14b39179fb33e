import { EX_CONFIG, EX_UNAVAILABLE } from "../exit-codes.ts";
import type { Setting } from "../setting-schemas.ts";
import { SETTINGS } from "../settings.ts";
import type { CommandTitle } from "./command.ts";
import { commandHelp } from "./help.ts";

/** The help of `serve`, from the settings. */
export function serveHelp(title: CommandTitle): string {
  const entries: [string, Setting][] = Object.entries(SETTINGS);
  const options = entries.map(([name, { about, fallback, secret }]) => {
    // Other processes could see a secret among the arguments: its flag names a file.
    const variable = secret ? `${name}_FILE` : name;
    const flag = variable.toLowerCase().replaceAll("_", "-");
    const value = secret ? "FILE" : "VALUE";
    return [flag, { about, value, variable, ...(fallback !== undefined && { default: fallback }) }] as const;
  });
  return commandHelp({
    ...title,
    about: "docs/configuration.md of the repository lists what each setting may be.",
    options: Object.fromEntries(options),
    examples: [
      "user-service serve",
      "user-service serve --port 8443 --tls-cert-file cert.pem --tls-key-file key.pem",
      "DATABASE_URL=postgres://users:secret@localhost:5432/users user-service serve",
    ],
    exits: {
      [EX_UNAVAILABLE]: "the port cannot be opened",
      [EX_CONFIG]: "the configuration is wrong",
    },
  });
}
