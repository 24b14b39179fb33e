/** What a generator works with. */
export interface Generation {
  /** The root of this repository. */
  readonly root: string;
  /** The folder to fill, which holds what is written by hand already. It lies within the repository. */
  readonly output: string;
  /** The version of the client: that of this package. */
  readonly version: string;
}

/** Adds to a client what is made from the contract, and returns the versions of the tools that did it. */
export type Generator = (generation: Generation) => Promise<Readonly<Record<string, string>>>;

/** The first line of every file that a generator writes itself, after the sign of a comment in its language. */
export const GENERATED = "Code generated from the contract of user.v1. DO NOT EDIT.";
