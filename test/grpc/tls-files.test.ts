import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import {
  readTlsFiles,
  readTlsFilesSync,
  sameContents,
  type TlsContents,
  TlsFilesError,
  toTlsIdentity,
} from "../../src/grpc/tls-files.ts";
import { CertificateAuthority, type CertificatePair } from "../support/certificates.ts";
import { PemFolder } from "../support/pem-folder.ts";

const HOUR_MS = 3_600_000;

let root: CertificateAuthority;
let intermediate: CertificateAuthority;
let pair: CertificatePair;
let other: CertificatePair;

beforeAll(async () => {
  root = await CertificateAuthority.create();
  intermediate = await root.intermediate();
  [pair, other] = await Promise.all([intermediate.server(), root.server()]);
});

function faultsOf(contents: Partial<TlsContents>): string[] {
  try {
    toTlsIdentity({ ...pair, clientCa: undefined, ...contents });
  } catch (error) {
    if (error instanceof TlsFilesError) return error.faults.map(({ file, fault }) => `${file} ${fault}`);
    throw error;
  }
  return [];
}

describe("toTlsIdentity", () => {
  it("takes a certificate with those between it and the root, and its key", () => {
    const { context, ...identity } = toTlsIdentity({ ...pair, clientCa: undefined });
    const { fingerprint256, validToDate } = new X509Certificate(pair.cert);
    expect(identity).toMatchObject({
      requiresClientCertificate: false,
      fingerprint: fingerprint256,
      notAfter: validToDate,
    });
    expect(String(context.cert).match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(context.ca).toBeUndefined();
  });

  it("takes all authorities of clients", () => {
    const { context, requiresClientCertificate } = toTlsIdentity({ ...pair, clientCa: root.root + other.cert });
    expect(requiresClientCertificate).toBe(true);
    expect(context.ca).toHaveLength(2);
  });

  it("takes one file with everything in it, and words between the blocks", () => {
    const everything = `subject=whoever\n${pair.key}\nmore words\r\n${pair.cert}`;
    expect(faultsOf({ cert: everything, key: everything })).toEqual([]);
  });

  it("tells of each file that cannot be read", () => {
    const missing = Object.assign(new Error("no such file"), { code: "ENOENT" });
    expect(faultsOf({ cert: missing, key: missing, clientCa: new Error("?") })).toEqual([
      "cert must be a readable file (ENOENT)",
      "key must be a readable file (ENOENT)",
      "clientCa must be a readable file (unreadable)",
    ]);
  });

  it.each(["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])("refuses %j", (text) => {
    expect(faultsOf({ cert: text, key: text, clientCa: text })).toEqual([
      "cert must hold certificates (PEM), whole",
      "key must hold a private key (PEM), not encrypted",
      "clientCa must hold certificates (PEM), whole",
    ]);
  });

  it("refuses a file that breaks off in the second certificate", () => {
    const broken = pair.cert.slice(0, -100);
    expect(faultsOf({ cert: broken, clientCa: broken })).toEqual([
      "cert must hold certificates (PEM), whole",
      "clientCa must hold certificates (PEM), whole",
    ]);
  });

  it("refuses a key that is encrypted", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const key = privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" });
    expect(faultsOf({ key: String(key) })).toEqual(["key must hold a private key (PEM), not encrypted"]);
  });

  it("refuses the key of another certificate", () => {
    expect(faultsOf({ key: other.key })).toEqual(["key must be the key of the certificate, but is another's"]);
  });

  it("refuses a certificate that is not valid now", async () => {
    const now = Date.now();
    const [early, late] = [new Date(now - 2 * HOUR_MS), new Date(now + HOUR_MS)];
    const expired = await root.server({ notBefore: early, notAfter: new Date(now - HOUR_MS) });
    const future = await root.server({ notBefore: late, notAfter: new Date(now + 2 * HOUR_MS) });
    expect(faultsOf(expired)).toEqual([expect.stringMatching(/^cert must be valid, but expired at \d{4}-/)]);
    expect(faultsOf(future)).toEqual([expect.stringMatching(/^cert must be valid, but is not before \d{4}-/)]);
  });

  it("never shows what the files hold", () => {
    const faults = faultsOf({ cert: "secret", key: "secret", clientCa: "secret" });
    expect(faults).toHaveLength(3);
    expect(faults.join()).not.toContain("secret");
  });
});

describe("reading the files", () => {
  it("brings the same at once and in time", async () => {
    const folder = new PemFolder();
    const files = { cert: folder.write("cert", "one"), key: join(folder.path, "none"), clientCa: undefined };
    const atOnce = readTlsFilesSync(files);
    expect(atOnce).toMatchObject({ cert: "one", key: expect.any(Error), clientCa: undefined });
    expect(sameContents(atOnce, await readTlsFiles(files))).toBe(true);
    folder.write("cert", "two");
    expect(sameContents(atOnce, await readTlsFiles(files))).toBe(false);
  });
});
