import type { Command } from "./command.ts";

/** Serves until it is told to stop. The arguments are those of `npm start`: a flag for each setting. */
export const serve: Command = {
  async run(args, terminal, title) {
    if (args.includes("--help") || args.includes("-h")) {
      const { serveHelp } = await import("./serve-help.ts");
      terminal.stdout.write(serveHelp(title));
      return 0;
    }
    // It reads its flags, takes the signals, and sets the exit status, as when it is started by itself.
    process.argv = [...process.argv.slice(0, 2), ...args];
    await import("../main.ts");
    return Number(process.exitCode ?? 0);
  },
};
