import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { type Finding, failed, findWithBuf, runBuf, runProgram } from "./buf.ts";
import { findPractices, isNaming } from "./practices.ts";
import { createWorkspace, findRules, findSources, type Sources, type Workspace } from "./sources.ts";

/** What came of one kind of check. */
export interface ContractCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly findings: readonly Finding[];
}

/** How a contract is checked. */
export interface ContractOptions {
  /** What it must not break: a folder, a file or an image of buf's, or a commit of the git repository that it is in. */
  readonly against: string | undefined;
  /** Where imports are looked for besides. */
  readonly includes: readonly string[];
}

/** Makes the result of a check of what was found. */
export function toCheck(name: string, findings: readonly Finding[]): ContractCheck {
  return { name, ok: findings.length === 0, findings };
}

/**
 * Checks any contract: its syntax, and where that is right the names, what is good practice, how it is formatted, and
 * whether it breaks those who use what it was.
 */
export async function checkContract(path: string, { against, includes }: ContractOptions): Promise<ContractCheck[]> {
  const sources = await findSources(path);
  if (sources.files.length === 0) return [toCheck("syntax", [failed("NO_FILES", `${path} holds no .proto files`)])];
  await using workspace = await createWorkspace(sources, includes);
  const image = join(workspace.folder, "own.binpb");
  const show = (findings: readonly Finding[]) => findings.map((each) => shown(each, workspace));
  const syntax = await findWithBuf(["build", ".", "-o", image], workspace.folder);
  if (syntax.length > 0) return [toCheck("syntax", show(syntax))];

  const [lint, practices, format] = await Promise.all([
    findLint(sources, workspace),
    findPractices(image, (name) => sources.files.includes(name)),
    findUnformatted("own", workspace.folder),
  ]);
  const own = show(practices.map((each) => ({ ...each, file: join("own", each.file) })));
  const checks = [
    toCheck("syntax", []),
    toCheck(
      "naming",
      lint.filter(({ rule }) => isNaming(rule)),
    ),
    toCheck("best practices", [...lint.filter(({ rule }) => !isNaming(rule)), ...own]),
    toCheck("format", show(format)),
  ];
  if (against === undefined) return checks;
  return [
    ...checks,
    toCheck(
      `breaking changes since ${against}`,
      show(await findBreaking(sources, workspace, image, { against, includes })),
    ),
  ];
}

/** The files that buf would format in another way. */
export async function findUnformatted(path: string, cwd: string): Promise<Finding[]> {
  const { stdout } = await runBuf(["format", "-d", "--exit-code", path], cwd);
  return [...stdout.matchAll(/^\+\+\+ (\S+)/gm)].map(([, file = ""]) => ({
    file,
    line: 0,
    column: 0,
    rule: "FORMAT",
    message: "is not formatted as buf format does",
  }));
}

/**
 * What buf's rules find: those of the folder that the files are in, if it has some, and otherwise STANDARD and
 * COMMENTS.
 */
async function findLint({ root, files }: Sources, workspace: Workspace): Promise<Finding[]> {
  const rules = await findRules(root);
  if (rules === undefined) {
    const findings = await findWithBuf(["lint"], workspace.folder);
    return findings.map((each) => shown(each, workspace));
  }
  const limits = files.flatMap((file) => ["--path", relative(rules, join(root, file))]);
  const findings = await findWithBuf(["lint", ...limits], rules);
  return findings.map((each) =>
    each.file === "" ? each : { ...each, file: relative(process.cwd(), join(rules, each.file)) },
  );
}

async function findBreaking(
  sources: Sources,
  { folder }: Workspace,
  image: string,
  { against = "", includes }: ContractOptions,
): Promise<Finding[]> {
  const given = resolve(against);
  const found = await stat(given).catch(() => undefined);
  const isImage = found?.isFile() === true && !given.endsWith(".proto");
  const before = isImage ? given : join(folder, "before.binpb");
  if (!isImage) {
    await using past =
      found === undefined ? await checkOut(against, sources) : new PastSources(await findSources(given));
    if (past.failure !== undefined) return [past.failure];
    // What is new breaks nobody.
    if (past.sources.files.length === 0) return [];
    const failures = await buildImage(past.sources, before, [...includes, sources.root]);
    if (failures.length > 0) return failures;
  }
  const limits = sources.whole ? [] : ["--limit-to-input-files"];
  const findings = await findWithBuf(["breaking", image, "--against", before, "--exclude-imports", ...limits], folder);
  return findings.map((each) => (sources.files.includes(each.file) ? { ...each, file: join("own", each.file) } : each));
}

async function buildImage(sources: Sources, image: string, includes: readonly string[]): Promise<Finding[]> {
  await using workspace = await createWorkspace(sources, includes);
  const findings = await findWithBuf(["build", ".", "-o", image], workspace.folder);
  return findings.map((each) => shown(each, workspace));
}

/** What a contract was. */
class PastSources implements AsyncDisposable {
  readonly sources: Sources;
  /** Why nobody knows. */
  readonly failure: Finding | undefined;
  readonly #folder: string | undefined;

  /** A `folder` is removed when it is disposed of. */
  constructor(sources: Sources, { folder, failure }: { folder?: string; failure?: Finding } = {}) {
    this.sources = sources;
    this.failure = failure;
    this.#folder = folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true });
  }
}

/** The files as they were in a commit, put where no worktree is touched. */
async function checkOut(name: string, { root, files, whole }: Sources): Promise<PastSources> {
  const nothing = { root, files: [], whole };
  const commit = await runProgram(
    "git",
    ["rev-parse", "--verify", "--quiet", "--end-of-options", `${name}^{commit}`],
    root,
  );
  if (commit.code !== 0) {
    const message = `${name} is no path, and no commit of a git repository that ${root} is in`;
    return new PastSources(nothing, { failure: failed("AGAINST", message) });
  }
  const tree = await runProgram("git", ["ls-tree", "-r", "--name-only", commit.stdout.trim(), "."], root);
  const protos = tree.stdout.split("\n").filter((file) => file.endsWith(".proto"));
  if (protos.length === 0) return new PastSources(nothing);
  const folder = await mkdtemp(join(tmpdir(), "proto-commit-"));
  const copy = 'git archive "$1" -- "*.proto" | tar -xf - -C "$2"';
  const { code, stderr } = await runProgram("sh", ["-c", copy, "sh", commit.stdout.trim(), folder], root);
  if (code !== 0) return new PastSources(nothing, { folder, failure: failed("AGAINST", stderr) });
  const known = whole ? protos : files.filter((file) => protos.includes(file));
  return new PastSources({ root: folder, files: known, whole }, { folder });
}

function shown(finding: Finding, workspace: Workspace): Finding {
  return finding.file === "" ? finding : { ...finding, file: workspace.originOf(finding.file) };
}
