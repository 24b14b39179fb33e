import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ClientPolicy, readClientPolicy } from "./client-policy.ts";
import { buildContractImage } from "./contract-image.ts";
import { GENERATED, type Generation } from "./generator.ts";
import { runOwnTool } from "./toolchain.ts";

/** Packages that the client takes in the versions of this one. */
const DEPENDENCIES = ["@bufbuild/protobuf", "@grpc/grpc-js"];
const DEV_DEPENDENCIES = ["@types/node", "typescript"];

/** Adds the stubs, made by protoc-gen-es, and the policy, and compiles all. */
export async function generateNode({ root, output, version }: Generation): Promise<Record<string, string>> {
  const image = join(output, "contract.binpb");
  // Errors are read with stubs of google.rpc, which no package has for protobuf-es.
  const { bytes } = await buildContractImage(root, { google: ["error_details", "status"] });
  await writeFile(image, bytes);
  const opt = ["target=ts", "import_extension=ts", "erasable_syntax=true"];
  const local = [process.execPath, join(root, "node_modules/.bin/protoc-gen-es")];
  const template = { version: "v2", plugins: [{ local, out: join(output, "src/gen"), opt }] };
  await runOwnTool(root, "buf", ["generate", image, "--template", JSON.stringify(template)]);
  await rm(image);

  await writeFile(join(output, "src/policy.ts"), printPolicy(readClientPolicy()));
  const tools = await pinDependencies(root, output, version);
  // Node.js strips no types of what is installed, so the package holds compiled code.
  await runOwnTool(root, "tsc", ["-p", output, "--checkers", "1"]);
  return tools;
}

/** Writes the versions into the package.json of the client, and returns those of the tools. */
async function pinDependencies(root: string, output: string, version: string): Promise<Record<string, string>> {
  const ours = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as Record<string, Record<string, string>>;
  const versions = { ...ours.dependencies, ...ours.devDependencies };
  const pick = (names: readonly string[], range = ""): Record<string, string> =>
    Object.fromEntries(names.map((name) => [name, `${range}${versions[name]}`]));
  const path = join(output, "package.json");
  const theirs = JSON.parse(await readFile(path, "utf8")) as object;
  const dependencies = { dependencies: pick(DEPENDENCIES, "^"), devDependencies: pick(DEV_DEPENDENCIES) };
  await writeFile(path, `${JSON.stringify({ ...theirs, version, ...dependencies }, undefined, 2)}\n`);
  return pick(["@bufbuild/protoc-gen-es", "typescript"]);
}

function printPolicy({ defaultTimeoutsMs, serviceConfig, expectedCount }: ClientPolicy): string {
  return `// ${GENERATED}

/** The metadata that tells how many messages a client stream has. */
export const EXPECTED_COUNT = "${expectedCount}";

/** The timeouts of calls that state none, in milliseconds, by method; methods that are not here have none. */
export const DEFAULT_TIMEOUTS_MS: Readonly<Record<string, number>> = ${JSON.stringify(Object.fromEntries(defaultTimeoutsMs), undefined, 2)};

/** How calls are balanced and retried. */
export const SERVICE_CONFIG = ${JSON.stringify(serviceConfig, undefined, 2)};
`;
}
