import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BIOME = join(ROOT, "node_modules/@biomejs/biome/bin/biome");

const LAYERS = [
  "domain",
  "contract",
  "repository",
  "bus",
  "service",
  "grpc",
  "interceptors",
  "client",
  "gateway",
] as const;
const COMPOSITION = [
  "main.ts",
  "exit-codes.ts",
  "health-check.ts",
  "check-health.ts",
  "server.ts",
  "authentication-config.ts",
  "authentication.ts",
  "entrances.ts",
  "policies.ts",
  "config.ts",
  "setting-schemas.ts",
  "settings.ts",
  "tls-config.ts",
  "logger.ts",
  "banner.ts",
  "application.ts",
  "readiness.ts",
] as const;

const FORBIDDEN: readonly (readonly [folder: string, module: string])[] = [
  ...LAYERS.flatMap((layer) => COMPOSITION.map((file) => [layer, `../${file}`] as const)),
  ...LAYERS.map((layer) => [layer, "../cli/token.ts"] as const),
  ...LAYERS.map((layer) => [layer, "../testing/testing.ts"] as const),
  ...LAYERS.filter((layer) => layer !== "gateway").map((layer) => [layer, "../gateway/gateway.ts"] as const),
  ["gateway", "../bus/bus.ts"],
  ["gateway", "../client/user-client.ts"],
  ["gateway", "../domain/user.ts"],
  ["gateway", "../grpc/in-process.ts"],
  ["gateway", "../interceptors/auth.ts"],
  ["gateway", "../repository/user-repository.ts"],
  ["gateway", "../service/user-service.ts"],
  ["gateway", "@grpc/grpc-js"],
  ["testing", "../main.ts"],
  ["testing", "../cli/token.ts"],
  ["domain", "../contract/policy.ts"],
  ["domain", "../repository/user-repository.ts"],
  ["domain", "../service/sealed-tokens.ts"],
  ["domain", "../grpc/status.ts"],
  ["domain", "../interceptors/auth.ts"],
  ["domain", "../gen/user/v1/user_pb.ts"],
  ["domain", "@bufbuild/protobuf"],
  ["domain", "@bufbuild/protobuf/wkt"],
  ["domain", "@connectrpc/connect"],
  ["domain", "@grpc/grpc-js"],
  ["domain", "@scope/package"],
  ["domain", "grpc-health-check"],
  ["domain", "jose"],
  ["domain", "jose/jwt/verify"],
  ["domain", "pino"],
  ["domain", "pino-pretty"],
  ["domain", "zod"],
  ["domain", "zod/v4"],
  ["contract", "../domain/user.ts"],
  ["contract", "../repository/user-repository.ts"],
  ["contract", "../service/sealed-tokens.ts"],
  ["contract", "../grpc/status.ts"],
  ["contract", "../interceptors/auth.ts"],
  ["contract", "@grpc/grpc-js"],
  ["contract", "pino"],
  ["repository", "../contract/policy.ts"],
  ["repository", "../service/sealed-tokens.ts"],
  ["repository", "../grpc/status.ts"],
  ["repository", "../interceptors/auth.ts"],
  ["repository", "../gen/user/v1/user_pb.ts"],
  ["repository", "@bufbuild/protobuf"],
  ["repository", "@connectrpc/connect"],
  ["repository", "@grpc/grpc-js"],
  ["repository", "grpc-health-check"],
  ["repository", "pino"],
  ["domain", "../bus/bus.ts"],
  ["contract", "../bus/bus.ts"],
  ["repository", "../bus/bus.ts"],
  ["grpc", "../bus/bus.ts"],
  ["interceptors", "../bus/bus.ts"],
  ["client", "../bus/bus.ts"],
  ["bus", "../service/sealed-tokens.ts"],
  ["bus", "../grpc/status.ts"],
  ["bus", "../interceptors/auth.ts"],
  ["bus", "../client/user-client.ts"],
  ["bus", "../gen/user/v1/user_pb.ts"],
  ["bus", "@grpc/grpc-js"],
  ["bus", "pino"],
  ["service", "../bus/in-process-bus.ts"],
  ["service", "../repository/memory/user-repository.ts"],
  ["service", "../repository/postgres/postgres.ts"],
  ["service", "../repository/another-adapter.ts"],
  ["service", "../grpc/status.ts"],
  ["service", "../interceptors/auth.ts"],
  ["service", "@grpc/grpc-js"],
  ["service", "grpc-health-check"],
  ["service", "pino"],
  ["service", "pg"],
  ["grpc", "pg"],
  ["interceptors", "pg"],
  ["client", "pg"],
  ["grpc", "../repository/memory/user-repository.ts"],
  ["grpc", "../repository/user-repository.ts"],
  ["grpc", "../interceptors/auth.ts"],
  ["interceptors", "../repository/memory/user-repository.ts"],
  ["interceptors", "../repository/user-repository.ts"],
  ["domain", "../client/user-client.ts"],
  ["contract", "../client/user-client.ts"],
  ["repository", "../client/user-client.ts"],
  ["service", "../client/user-client.ts"],
  ["grpc", "../client/user-client.ts"],
  ["interceptors", "../client/user-client.ts"],
  ["client", "../domain/user.ts"],
  ["client", "../repository/user-repository.ts"],
  ["client", "../service/call-values.ts"],
  ["client", "../grpc/errors.ts"],
  ["client", "../interceptors/token.ts"],
  ["client", "@bufbuild/protovalidate"],
  ["client", "grpc-health-check"],
  ["client", "jose"],
  ["client", "pino"],
  ["client", "pino-pretty"],
  ["client", "zod"],
  // By a detour.
  ["domain", "./../interceptors/auth.ts"],
  ["domain", "../domain/../interceptors/auth.ts"],
  ["domain", "../../src/config.ts"],
  ["contract", "../gen/../server.ts"],
  ["repository", "../domain/../contract/policy.ts"],
  ["service", "./../repository/memory/user-repository.ts"],
  ["service", "../domain/../grpc/status.ts"],
  ["service", "../repository/../repository/memory/user-repository.ts"],
  ["service", "../grpc/../repository/user-repository.ts"],
  ["grpc", "../domain/../interceptors/auth.ts"],
  ["interceptors", "./../config.ts"],
  ["client", "../gen/../grpc/status.ts"],
  // From a folder inside the layer.
  ["domain/money", "../../service/sealed-tokens.ts"],
  ["repository/postgres", "../../contract/policy.ts"],
  ["repository/postgres", "../../config.ts"],
  ["repository/postgres", "@bufbuild/protobuf"],
  ["service/orders", "../../repository/memory/user-repository.ts"],
  ["grpc/shapes", "../../interceptors/auth.ts"],
  ["client/balancing", "../../server.ts"],
];

const ALLOWED: readonly (readonly [folder: string, module: string])[] = [
  ["domain", "./email.ts"],
  ["domain", "node:url"],
  ["domain", "uuid"],
  ["contract", "../gen/policy/v1/policy_pb.ts"],
  ["contract", "@bufbuild/protobuf"],
  ["repository", "../domain/user.ts"],
  ["repository", "./user-repository.ts"],
  ["repository", "uuid"],
  ["repository/postgres", "pg"],
  ["service", "../domain/user.ts"],
  ["service", "../contract/policy.ts"],
  ["service", "../gen/user/v1/user_pb.ts"],
  ["service", "../repository/user-repository.ts"],
  ["service", "../repository/change-log.ts"],
  ["service", "../repository/scope.ts"],
  ["service", "../repository/chat-rooms.ts"],
  ["service", "../repository/documents.ts"],
  ["service", "../repository/imports.ts"],
  ["service", "../repository/presences.ts"],
  ["service", "../bus/bus.ts"],
  ["bus", "./bus.ts"],
  ["bus", "../domain/errors.ts"],
  ["bus", "../repository/postgres/connection.ts"],
  ["bus", "pg"],
  ["service", "@connectrpc/connect"],
  ["grpc", "../domain/errors.ts"],
  ["grpc", "../contract/policy.ts"],
  ["grpc", "../gen/user/v1/user_pb.ts"],
  ["grpc", "../service/call-values.ts"],
  ["grpc", "@grpc/grpc-js"],
  ["grpc", "grpc-health-check"],
  ["interceptors", "../domain/principal.ts"],
  ["interceptors", "../contract/policy.ts"],
  ["interceptors", "../service/call-values.ts"],
  ["interceptors", "../grpc/errors.ts"],
  ["interceptors", "@grpc/grpc-js"],
  ["interceptors", "jose"],
  ["interceptors", "pino"],
  ["client", "./token.ts"],
  ["client", "../contract/policy.ts"],
  ["client", "../gen/user/v1/user_service_pb.ts"],
  ["client", "node:events"],
  ["client", "oauth4webapi"],
  ["client", "ot-text-unicode"],
  ["client/edit", "../mailbox.ts"],
  ["testing", "../server.ts"],
  ["testing", "../client/failure.ts"],
  ["client", "@bufbuild/protobuf"],
  ["client", "@connectrpc/connect"],
  ["client", "@grpc/grpc-js"],
  // From a folder inside the layer.
  ["domain/money", "../email.ts"],
  ["repository/postgres", "../user-repository.ts"],
  ["repository/postgres", "../../domain/user.ts"],
  ["repository/postgres", "./rows.ts"],
  ["service/orders", "../sealed-tokens.ts"],
  ["service/orders", "../../repository/user-repository.ts"],
  ["grpc/shapes", "../call-context.ts"],
  ["grpc/shapes", "../../service/call-values.ts"],
  // The composition knows every part.
  [".", "./config.ts"],
  [".", "./logger.ts"],
  [".", "./interceptors/auth.ts"],
  [".", "./repository/memory/user-repository.ts"],
  [".", "@grpc/grpc-js"],
];

/** The other ways to import, each of which the rules must see too. */
const FORMS: readonly ((module: string) => string)[] = [
  (module) => `import type { X } from "${module}";\nexport type Y = X;\n`,
  (module) => `export { x } from "${module}";\n`,
  (module) => `export * from "${module}";\n`,
  (module) => `import "${module}";\n`,
  (module) => `export const x = import("${module}");\n`,
];

const plainImport = (module: string): string => `import { x } from "${module}";\nexport const y = x;\n`;

interface Report {
  readonly diagnostics: readonly { readonly category: string; readonly location: { readonly path: string } }[];
}

/** Which of these sources, by path, the import rules refuse. */
async function refused(sources: ReadonlyMap<string, string>): Promise<Set<string>> {
  const folder = await mkdtemp(join(tmpdir(), "import-rules-"));
  try {
    await copyFile(join(ROOT, "biome.jsonc"), join(folder, "biome.jsonc"));
    for (const [path, source] of sources) {
      await mkdir(join(folder, dirname(path)), { recursive: true });
      await writeFile(join(folder, path), source);
    }
    const args = [
      "lint",
      "--only=style/noRestrictedImports",
      "--vcs-enabled=false",
      "--max-diagnostics=none",
      "--reporter=json",
    ];
    const stdout = await new Promise<string>((resolve) => {
      execFile(process.execPath, [BIOME, ...args], { cwd: folder }, (_error, output) => resolve(output));
    });
    const { diagnostics } = JSON.parse(stdout) as Report;
    const found = diagnostics.filter(({ category }) => category === "lint/style/noRestrictedImports");
    return new Set(found.map(({ location }) => location.path));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const pathOf = (folder: string, index: number): string => join("src", folder, `${index}.ts`);

describe("the import rules", () => {
  let found: Set<string>;

  beforeAll(async () => {
    const pairs = [...FORBIDDEN, ...ALLOWED];
    const sources = new Map(pairs.map(([folder, module], index) => [pathOf(folder, index), plainImport(module)]));
    for (const [index, form] of FORMS.entries())
      sources.set(pathOf("domain", 1000 + index), form("../repository/memory/user-repository.ts"));
    found = await refused(sources);
  });

  it.each(FORBIDDEN.map((pair, index) => [...pair, index] as const))(
    "keep %s from importing %s",
    (folder, _, index) => {
      expect(found).toContain(pathOf(folder, index));
    },
  );

  it.each(ALLOWED.map((pair, index) => [...pair, index] as const))("let %s import %s", (folder, _, index) => {
    expect(found).not.toContain(pathOf(folder, FORBIDDEN.length + index));
  });

  it.each(FORMS.map((form, index) => [form("module").split("\n")[0], index] as const))("see %s", (_, index) => {
    expect(found).toContain(pathOf("domain", 1000 + index));
  });
});
