#!/usr/bin/env node
import { runCommandLine } from "./command-line.ts";
import { processTerminal } from "./terminal.ts";

// The process ends when nothing is left to do, and what was written has left it.
process.exitCode = await runCommandLine(process.argv.slice(2), processTerminal());
