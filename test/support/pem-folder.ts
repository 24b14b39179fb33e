import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { CertificatePair } from "./certificates.ts";

/** The files of a server's TLS identity, as a test makes them. They are removed after the test. */
export class PemFolder {
  readonly path: string;

  constructor() {
    this.path = mkdtempSync(join(tmpdir(), "pem-"));
    onTestFinished(() => rmSync(this.path, { recursive: true }));
  }

  /** The path of a file with this content. */
  write(name: string, content: string): string {
    const path = join(this.path, name);
    writeFileSync(path, content);
    return path;
  }

  /** Writes a pair, and the authorities of clients if there are any: the variables that name the files. */
  variables({ cert, key }: CertificatePair, clientCa?: string): Record<string, string> {
    return {
      TLS_CERT_FILE: this.write("tls.crt", cert),
      TLS_KEY_FILE: this.write("tls.key", key),
      ...(clientCa !== undefined && { TLS_CLIENT_CA_FILE: this.write("ca.crt", clientCa) }),
    };
  }
}
