import type { Command, CommandTitle } from "./command.ts";

/** A command that is loaded when it is needed, so that none costs the time that another takes to load. */
export interface CommandEntry extends CommandTitle {
  load(): Promise<Command>;
}

/** Every command, in the order of the help. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "serve",
    summary: "serve user.v1.UserService",
    load: async () => (await import("./serve.ts")).serve,
  },
  {
    name: "migrate",
    summary: "bring the tables of the database up to date",
    load: async () => (await import("./migrate.ts")).migrate,
  },
  {
    name: "token",
    summary: "mint a token for development",
    load: async () => (await import("./token.ts")).token,
  },
  {
    name: "demo",
    summary: "walk a running server through every RPC, and show what comes back",
    load: async () => (await import("./demo.ts")).demo,
  },
  {
    name: "check",
    summary: "check what a running server answers, how it fails, and how fast it is",
    load: async () => (await import("./check.ts")).check,
  },
  {
    name: "bench",
    summary: "load a running server, and tell how fast it answers",
    load: async () => (await import("./bench.ts")).bench,
  },
  {
    name: "import",
    summary: "import a file of users, CSV or NDJSON",
    load: async () => (await import("./import.ts")).importUsers,
  },
  {
    name: "chat",
    summary: "talk in a room",
    load: async () => (await import("./chat.ts")).chat,
  },
  {
    name: "watch",
    summary: "show changes of users as they happen",
    load: async () => (await import("./watch.ts")).watch,
  },
];
