import { COMPILE_CACHE } from "./compile-cache.ts";

/** Called by vitest before the first worker starts: workers, and what inherits their environment, do not compile again either. */
export function setup(): void {
  Object.assign(process.env, COMPILE_CACHE);
}
