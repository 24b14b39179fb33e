const JITTER = 0.1;

/** A time that differs by up to a tenth, at random: what began together should not end together. */
export function jittered(ms: number): number {
  return ms * (1 + JITTER * (2 * Math.random() - 1));
}

/** The longest time that `jittered` makes of this one. */
export function longestJittered(ms: number): number {
  return ms * (1 + JITTER);
}
