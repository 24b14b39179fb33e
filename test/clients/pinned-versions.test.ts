import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { GO_PLUGINS } from "../../scripts/clients/go.ts";
import { PYTHON_TOOLS } from "../../scripts/clients/python.ts";

/** The versions of modules that a go.mod names itself. */
function required(path: string): Map<string, string> {
  const lines = readFileSync(path, "utf8").matchAll(/^\t(\S+) (v\S+)$/gm);
  return new Map([...lines].map(([, name = "", version = ""]) => [name, version]));
}

describe("the versions of foreign clients", () => {
  it("are those of the plugin that makes Go's messages", () => {
    expect(required("clients/go/go.mod").get("google.golang.org/protobuf")).toBe(GO_PLUGINS["protoc-gen-go"].version);
  });

  it("are the same in Go's client and example", () => {
    const client = required("clients/go/go.mod");
    for (const [name, version] of required("examples/go/go.mod")) {
      if (client.has(name)) expect([name, client.get(name)]).toEqual([name, version]);
    }
  });

  it("are at least that of the tools that make Python's stubs", () => {
    const project = readFileSync("clients/python/pyproject.toml", "utf8");
    expect(project).toContain(`"grpcio>=${PYTHON_TOOLS["grpcio-tools"]},<2"`);
  });
});
