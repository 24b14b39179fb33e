/** Exit status of wrong arguments (EX_USAGE of sysexits.h). */
export const EX_USAGE = 64;
/** Exit status of an input that cannot be read (EX_NOINPUT of sysexits.h). */
export const EX_NOINPUT = 66;
/** Exit status of a service that is not available (EX_UNAVAILABLE of sysexits.h). */
export const EX_UNAVAILABLE = 69;
/** Exit status of an output that cannot be written (EX_CANTCREAT of sysexits.h). */
export const EX_CANTCREAT = 73;
/** Exit status of a configuration error (EX_CONFIG of sysexits.h). */
export const EX_CONFIG = 78;

/**
 * Exit status of a command that Ctrl-C has ended before it was done, as shells have it: 128 and the number of SIGINT.
 */
export const EX_INTERRUPTED = 130;

/** Ends the process, when nothing is left to do, with this status and message. */
export function fail(code: number, message: string): void {
  process.stderr.write(`${message}\n`);
  process.exitCode = code;
}
