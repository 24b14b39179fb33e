import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** The contract, as a set of descriptors that plugins of protoc can be run on. */
export interface ContractImage {
  /** The files that callers need stubs of, in an order in which each follows what it imports. */
  readonly files: readonly string[];
  /** Those of them that have services. */
  readonly services: readonly string[];
  /** An image of buf's, which is a FileDescriptorSet: with what the files import, and with their comments. */
  readonly bytes: Uint8Array;
}

/** What a language needs of the contract. */
export interface ContractOptions {
  /** Goes in front of the names of our files, which in some languages decide what stubs import. */
  readonly folder?: string;
  /** Files of google/rpc that are wanted as well. */
  readonly google?: readonly string[];
}

const OWN = "user/";
const WELL_KNOWN = "google/protobuf/";
const GOOGLE_RPC = "node_modules/google-proto-files/google/rpc";

const run = promisify(execFile);

/**
 * Builds the contract for foreign clients with buf. The rules and policies of its options are left out: the service
 * holds every caller to them, while stubs of `buf/validate` would clash with those of any other package that has them,
 * since protobuf keeps one register of files for a whole process.
 */
export async function buildContractImage(root: string, options: ContractOptions = {}): Promise<ContractImage> {
  const { folder = "", google = [] } = options;
  const paths = ["proto/user", ...google.map((name) => `${GOOGLE_RPC}/${name}.proto`)];
  const args = ["build", ...paths.flatMap((path) => ["--path", path]), "-o", "-"];
  await run(process.execPath, [join(root, "scripts/protodeps.ts"), "build/proto"], { cwd: root });
  const buf = { cwd: root, encoding: "buffer", maxBuffer: 2 ** 26 } as const;
  const { stdout } = await run(process.execPath, [join(root, "node_modules/.bin/buf"), ...args], buf);

  const isKept = (name: string): boolean => [OWN, "google/"].some((start) => name.startsWith(start));
  const rename = (name: string): string => (name.startsWith(OWN) ? `${folder}${name}` : name);
  const set = fromBinary(FileDescriptorSetSchema, stdout);
  set.file = set.file.filter(({ name }) => isKept(name));
  for (const file of set.file) {
    file.name = rename(file.name);
    file.dependency = file.dependency.filter(isKept).map(rename);
    dropCustomOptions(file);
  }
  const wanted = set.file.filter(({ name }) => !name.startsWith(WELL_KNOWN));
  const services = wanted.filter(({ service }) => service.length > 0);
  return { files: namesOf(wanted), services: namesOf(services), bytes: toBinary(FileDescriptorSetSchema, set) };
}

function namesOf(files: readonly FileDescriptorProto[]): string[] {
  return files.map(({ name }) => name);
}

/** Custom options are extensions, which a reader that does not know them keeps as unknown fields. */
function dropCustomOptions(node: object): void {
  if ("$typeName" in node && "$unknown" in node && String(node.$typeName).endsWith("Options")) delete node.$unknown;
  for (const child of Object.values(node)) if (typeof child === "object" && child !== null) dropCustomOptions(child);
}
