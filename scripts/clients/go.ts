import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ClientPolicy, readClientPolicy } from "./client-policy.ts";
import { buildContractImage } from "./contract-image.ts";
import { GENERATED, type Generation } from "./generator.ts";
import { makeOnce, runOwnTool, runTool } from "./toolchain.ts";

/** The plugins, which `go install` makes from their modules. */
export const GO_PLUGINS = {
  "protoc-gen-go": { path: "google.golang.org/protobuf/cmd/protoc-gen-go", version: "v1.36.12" },
  "protoc-gen-go-grpc": { path: "google.golang.org/grpc/cmd/protoc-gen-go-grpc", version: "v1.6.2" },
};

const INSTALL_GO = "Install Go 1.26 or newer (https://go.dev/dl), and put it into PATH.";
const REACH_PROXY = "The plugins come from the Go module proxy: see that GOPROXY is reachable.";

/** Adds the stubs, made by protoc-gen-go and protoc-gen-go-grpc, and the policy. */
export async function generateGo({ root, output }: Generation): Promise<Record<string, string>> {
  const go = await runTool("go", ["env", "GOVERSION"], { cwd: output, remedy: INSTALL_GO });
  const versions = Object.entries(GO_PLUGINS).map(([name, { version }]) => [name, version] as const);
  const folder = versions.map(([name, version]) => `${name}-${version}`).join("-");
  const plugins = await makeOnce(join(root, "build/clients/tools", folder), installPlugins);

  const image = join(output, "contract.binpb");
  const modulePath = /^module (\S+)$/m.exec(await readFile(join(output, "go.mod"), "utf8"))?.[1];
  const { bytes } = await buildContractImage(root);
  await writeFile(image, bytes);
  const template = {
    version: "v2",
    plugins: Object.keys(GO_PLUGINS).map((name) => ({
      local: join(plugins, name),
      out: output,
      opt: [`module=${modulePath}`],
    })),
  };
  await runOwnTool(root, "buf", ["generate", image, "--template", JSON.stringify(template)]);
  await rm(image);
  const policyFile = join(output, "userclient/policy.go");
  await writeFile(policyFile, printPolicy(readClientPolicy()));
  await runTool("gofmt", ["-w", policyFile], { remedy: INSTALL_GO });
  return { go: go.trim(), ...Object.fromEntries(versions) };
}

async function installPlugins(folder: string): Promise<void> {
  await mkdir(folder);
  for (const { path, version } of Object.values(GO_PLUGINS))
    await runTool("go", ["install", `${path}@${version}`], { env: { GOBIN: folder }, remedy: REACH_PROXY });
}

function printPolicy({ defaultTimeoutsMs, serviceConfig, expectedCount }: ClientPolicy): string {
  const timeouts = [...defaultTimeoutsMs].map(([path, ms]) => `\t"${path}": ${ms} * time.Millisecond,`);
  return `// ${GENERATED}

package userclient

import "time"

// expectedCount is the metadata that tells how many messages a client stream has.
const expectedCount = "${expectedCount}"

// defaultTimeouts are the timeouts of calls that state none, by method; methods that are not here have none.
var defaultTimeouts = map[string]time.Duration{
${timeouts.join("\n")}
}

// serviceConfig states how calls are balanced and retried.
const serviceConfig = \`${JSON.stringify(serviceConfig, undefined, 2)}\`
`;
}
