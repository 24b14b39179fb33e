import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Where imports are looked for that are nowhere else: rules, policies, and what Google shares. */
const COMMON_ROOTS = ["build/proto", "proto", "node_modules/google-proto-files"].map((path) => join(ROOT, path));

/** The folders of a workspace: what is checked, and what that imports. */
const OWN = "own";
const IMPORTED = "imported";

const RULES = `version: v2
modules:
  - path: ${OWN}
  - path: ${IMPORTED}
    lint: { ignore: [${IMPORTED}] }
    breaking: { ignore: [${IMPORTED}] }
lint:
  use: [STANDARD, COMMENTS]
breaking:
  use: [FILE]
`;

/** Which files are checked. */
export interface Sources {
  /** The folder from which they are imported. */
  readonly root: string;
  /** Their paths below it, as importers write them. */
  readonly files: readonly string[];
  /** Whether these are all files of the folder. */
  readonly whole: boolean;
}

/** Files of a contract in a workspace of buf's of their own, which holds all that they import. */
export interface Workspace extends AsyncDisposable {
  readonly folder: string;
  /** Where a file of the workspace was, as a path from the working directory. */
  originOf(path: string): string;
}

/**
 * Finds the files that a path stands for: those below a directory, from which they are imported; or one file, which is
 * imported from the directory that its package leads back to.
 *
 * @throws what the file system throws.
 */
export async function findSources(path: string): Promise<Sources> {
  const given = resolve(path);
  if ((await stat(given)).isDirectory()) return { root: given, files: await protosBelow(given), whole: true };
  const [, name = ""] = /^\s*package\s+([\w.]+)\s*;/m.exec(await readFile(given, "utf8")) ?? [];
  const home = dirname(given);
  const suffix = `${sep}${name.replaceAll(".", sep)}`;
  const root = name !== "" && home.endsWith(suffix) ? home.slice(0, -suffix.length) : home;
  return { root, files: [relative(root, given)], whole: false };
}

/**
 * Copies files, and what they import from their own root, from `includes`, or from what everybody imports, into a new
 * workspace.
 */
export async function createWorkspace(
  { root, files }: Pick<Sources, "root" | "files">,
  includes: readonly string[],
): Promise<Workspace> {
  const folder = await mkdtemp(join(tmpdir(), "proto-check-"));
  const origins = new Map<string, string>();
  const copy = async (from: string, part: string, name: string): Promise<string[]> => {
    const target = join(part, name);
    origins.set(target, join(from, name));
    await mkdir(dirname(join(folder, target)), { recursive: true });
    await cp(join(from, name), join(folder, target));
    return importsOf(await readFile(join(folder, target), "utf8"));
  };
  await writeFile(join(folder, "buf.yaml"), RULES);
  // A module without a file is an error.
  await mkdir(join(folder, IMPORTED));
  await writeFile(join(folder, IMPORTED, "proto_check_nothing.proto"), 'syntax = "proto3";\n');

  const imports = (await Promise.all(files.map((name) => copy(root, OWN, name)))).flat();
  const known = new Set(files);
  const roots = [root, ...includes.map((path) => resolve(path)), ...COMMON_ROOTS];
  for (const name of imports) {
    if (known.has(name) || name.startsWith("google/protobuf/")) continue;
    known.add(name);
    const from = await firstWith(roots, name);
    // What is nowhere, buf reports.
    if (from !== undefined) imports.push(...(await copy(from, IMPORTED, name)));
  }
  return {
    folder,
    originOf: (path) => relative(process.cwd(), origins.get(path) ?? resolve(path)),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

/** The nearest folder with rules of its own for buf, at a folder or above it. */
export async function findRules(folder: string): Promise<string | undefined> {
  const found = await firstWith([folder], "buf.yaml");
  if (found !== undefined || dirname(folder) === folder) return found;
  return findRules(dirname(folder));
}

async function protosBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true });
  const isOwn = (path: string): boolean => !/(^|[\\/])(node_modules|\.[^\\/]+)[\\/]/.test(path);
  return entries.filter((path) => path.endsWith(".proto") && isOwn(path)).sort();
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/^\s*import\s+(?:public\s+|weak\s+)?"([^"]+)"/gm)].map(([, name = ""]) => name);
}

async function firstWith(roots: readonly string[], name: string): Promise<string | undefined> {
  for (const root of roots) {
    const found = await stat(join(root, name)).catch(() => undefined);
    if (found?.isFile()) return root;
  }
  return undefined;
}
