import { rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type ContractCheck, checkContract, findUnformatted, toCheck } from "./any-contract.ts";
import { type Finding, failed, findWithBuf, runBuf, runProgram } from "./buf.ts";
import { isNaming } from "./practices.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Where protos of ours are, which are formatted alike. */
const FOLDERS = ["proto", "test/probe", "test/primary"] as const;
/** The generated code, which must be what is generated now. */
const GENERATED = ["src/gen", "test/gen"] as const;
const CONTRACT = "build/contract.binpb";

/** What the contract must not break: for each, the image of what it was, made or kept, and the rules. */
const BASELINES = [
  {
    name: "the primary contract",
    against: "build/primary.binpb",
    source: "test/primary",
    options: ["--config", "test/baseline/primary.yaml"],
  },
  {
    name: "the last release",
    against: "test/baseline/release.binpb",
    source: undefined,
    options: ["--config", "test/baseline/release.yaml", "--exclude-imports"],
  },
] as const;

/**
 * Checks the contract of this project, with its rules, against its baselines and its generated code, and a commit if
 * one is named.
 */
export async function checkOwnContract(against: string | undefined): Promise<ContractCheck[]> {
  const build = ["build", "--path", "proto/user", "--path", "proto/policy", "-o", CONTRACT];
  const syntax = await findWithBuf(build, ROOT);
  if (syntax.length > 0) return [toCheck("syntax", shown(syntax))];
  const lint = await findWithBuf(["lint"], ROOT);
  const format = (await Promise.all(FOLDERS.map((folder) => findUnformatted(folder, ROOT)))).flat();
  const checks = [
    toCheck("syntax", []),
    toCheck("naming", shown(lint.filter(({ rule }) => isNaming(rule)))),
    toCheck("best practices", shown(lint.filter(({ rule }) => !isNaming(rule)))),
    toCheck("format", shown(format)),
  ];
  for (const { name, against: image, source, options } of BASELINES) {
    if (source !== undefined) await runBuf(["build", source, "-o", image], ROOT);
    const findings = await findWithBuf(["breaking", CONTRACT, "--against", image, ...options], ROOT);
    // An image knows its files as importers write them.
    const placed = findings.map((each) => (each.file === "" ? each : { ...each, file: join("proto", each.file) }));
    checks.push(toCheck(`breaking changes since ${name}`, shown(placed)));
  }
  if (against !== undefined) {
    const since = await checkContract(join(ROOT, "proto"), { against, includes: [] });
    checks.push(...since.filter(({ name }) => name.startsWith("breaking")));
  }
  return [...checks, toCheck("generated code", await findDrift())];
}

async function findDrift(): Promise<Finding[]> {
  await rm(join(ROOT, "build/drift"), { recursive: true, force: true });
  for (const options of [[], ["--template", "test/buf.gen.yaml"]]) {
    const { code, stderr } = await runBuf(["generate", ...options, "-o", "build/drift"], ROOT);
    if (code !== 0) return [failed("GENERATE", stderr)];
  }
  const diffs = await Promise.all(
    GENERATED.map((folder) => runProgram("diff", ["-rq", folder, join("build/drift", folder)], ROOT)),
  );
  const lines = diffs.flatMap(({ stdout, stderr }) => `${stdout}${stderr}`.split("\n")).filter((line) => line !== "");
  return lines.map((line) => failed("DRIFT", `${line}: npm run generate`));
}

function shown(findings: readonly Finding[]): Finding[] {
  return findings.map((each) =>
    each.file === "" ? each : { ...each, file: relative(process.cwd(), join(ROOT, each.file)) },
  );
}
