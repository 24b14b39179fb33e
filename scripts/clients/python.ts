import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ClientPolicy, readClientPolicy } from "./client-policy.ts";
import { buildContractImage } from "./contract-image.ts";
import { GENERATED, type Generation } from "./generator.ts";
import { makeOnce, runTool } from "./toolchain.ts";

/**
 * The tools, from PyPI. grpcio-tools brings protoc; mypy-protobuf writes stubs with types, and the contract's comments.
 */
export const PYTHON_TOOLS = { "grpcio-tools": "1.85.1", "mypy-protobuf": "5.1.0" };

/** The package of the client, which holds the stubs too: a `user` of their own at the top could meet another one. */
const PACKAGE = "user_service_client";

const INSTALL_PYTHON = "Install Python 3.10 or newer with venv and pip, or let PYTHON name it.";
const REACH_INDEX = "The tools come from PyPI: see that pip reaches it.";

/** Adds the stubs, made by protoc and mypy-protobuf, and the policy. */
export async function generatePython({ root, output, version }: Generation): Promise<Record<string, string>> {
  const name = process.env.PYTHON ?? "python3";
  const check = "import sys; assert sys.version_info >= (3, 10), sys.version; print(sys.version.split()[0])";
  const python = await runTool(name, ["-c", check], { remedy: INSTALL_PYTHON });
  const folder = Object.entries({ python: python.trim(), ...PYTHON_TOOLS }).map(([tool, tag]) => `${tool}-${tag}`);
  const tools = await makeOnce(join(root, "build/clients/tools", folder.join("-")), (path) => install(name, path));

  const { files, services, bytes } = await buildContractImage(root, { folder: `${PACKAGE}/` });
  const image = join(output, "contract.binpb");
  await writeFile(image, bytes);
  const source = join(output, "src");
  const protoc = ["-m", "grpc_tools.protoc", `--descriptor_set_in=${image}`];
  const env = { PYTHONPATH: tools, PATH: `${join(tools, "bin")}:${process.env.PATH}` };
  const options = { env, remedy: REACH_INDEX };
  await runTool(name, [...protoc, `--python_out=${source}`, `--mypy_out=quiet:${source}`, ...files], options);
  await runTool(
    name,
    [...protoc, `--grpc_python_out=${source}`, `--mypy_grpc_out=quiet:${source}`, ...services],
    options,
  );
  await rm(image);

  await writeFile(join(source, PACKAGE, "_policy.py"), printPolicy(readClientPolicy()));
  const project = join(output, "pyproject.toml");
  await writeFile(project, (await readFile(project, "utf8")).replace('version = "0.0.0"', `version = "${version}"`));
  return { python: python.trim(), ...PYTHON_TOOLS };
}

/** Installs the tools into a folder of their own, which needs no venv, and can be moved. */
async function install(python: string, folder: string): Promise<void> {
  const requirements = Object.entries(PYTHON_TOOLS).map(([name, version]) => `${name}==${version}`);
  const args = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", folder, ...requirements];
  await runTool(python, args, { remedy: REACH_INDEX });
}

function printPolicy({ defaultTimeoutsMs, serviceConfig, expectedCount }: ClientPolicy): string {
  const timeouts = [...defaultTimeoutsMs].map(([path, ms]) => `    "${path}": ${ms / 1000},`);
  return `# ${GENERATED}
"""What the contract says about calls."""

from collections.abc import Mapping
from typing import Final

EXPECTED_COUNT: Final = "${expectedCount}"
"""The metadata that tells how many messages a client stream has."""

DEFAULT_TIMEOUTS: Final[Mapping[str, float]] = {
${timeouts.join("\n")}
}
"""The timeouts of calls that state none, in seconds, by method; methods that are not here have none."""

SERVICE_CONFIG: Final = """
${JSON.stringify(serviceConfig, undefined, 2)}
"""
"""How calls are balanced and retried."""
`;
}
