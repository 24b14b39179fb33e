import { rmSync } from "node:fs";
import { beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { readTlsFilesSync, type TlsFiles, type TlsIdentity, toTlsIdentity } from "../../src/grpc/tls-files.ts";
import { TlsReload } from "../../src/grpc/tls-reload.ts";
import { CertificateAuthority, type CertificatePair } from "../support/certificates.ts";
import { PemFolder } from "../support/pem-folder.ts";

/** Longer than a test takes: it looks when the test says so. */
const NEVER_MS = 3_600_000;

let first: CertificatePair;
let second: CertificatePair;
/** The second certificate without the one that leads to its root. */
let leaf: string;

beforeAll(async () => {
  const intermediate = await (await CertificateAuthority.create()).intermediate();
  [first, second] = await Promise.all([intermediate.server(), intermediate.server()]);
  [leaf = ""] = second.cert.match(/-----BEGIN.*?-----END CERTIFICATE-----\n/s) ?? [];
});

/** Follows the files of a folder, and keeps what it is told: `replaced`, or what was wrong. */
function follow(): { folder: PemFolder; reload: TlsReload; told: string[]; identities: TlsIdentity[] } {
  const folder = new PemFolder();
  const { TLS_CERT_FILE: cert = "", TLS_KEY_FILE: key = "" } = folder.variables(first);
  const files: TlsFiles = { cert, key, clientCa: undefined };
  const told: string[] = [];
  const identities: TlsIdentity[] = [];
  const events = {
    onReplaced(identity: TlsIdentity) {
      told.push("replaced");
      identities.push(identity);
    },
    onRefused: (faults: readonly { fault: string }[]) => void told.push(faults.map(({ fault }) => fault).join()),
  };
  const reload = new TlsReload(files, toTlsIdentity(readTlsFilesSync(files)), events, NEVER_MS);
  onTestFinished(() => reload.stop());
  return { folder, reload, told, identities };
}

describe("TlsReload", () => {
  it("tells nothing while nothing changes, not even when the same is written again", async () => {
    const { folder, reload, told } = follow();
    await reload.look();
    folder.variables(first);
    await reload.look();
    await reload.look();
    expect(told).toEqual([]);
  });

  it("takes what reads the same at two looks, and tells once", async () => {
    const { folder, reload, told, identities } = follow();
    folder.variables(second);
    await reload.look();
    expect(told).toEqual([]);
    for (let look = 0; look < 3; look++) await reload.look();
    expect(told).toEqual(["replaced"]);
    expect(identities[0]?.fingerprint).toBe(toTlsIdentity({ ...second, clientCa: undefined }).fingerprint);
  });

  it("does not take a part of what is being written, even if it is good by itself", async () => {
    const { folder, reload, told, identities } = follow();
    folder.variables({ ...second, cert: leaf });
    await reload.look();
    folder.write("tls.crt", second.cert);
    await reload.look();
    expect(told).toEqual([]);
    await reload.look();
    expect(told).toEqual(["replaced"]);
    expect(String(identities[0]?.context.cert).match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  });

  it("tells once what is wrong, and again when it is wrong again", async () => {
    const { folder, reload, told } = follow();
    const path = folder.write("tls.key", second.key);
    for (let look = 0; look < 4; look++) await reload.look();
    const mismatch = "must be the key of the certificate, but is another's";
    expect(told).toEqual([mismatch]);
    rmSync(path);
    for (let look = 0; look < 4; look++) await reload.look();
    expect(told).toEqual([mismatch, "must be a readable file (ENOENT)"]);
    folder.variables(first);
    await reload.look();
    folder.write("tls.key", second.key);
    for (let look = 0; look < 4; look++) await reload.look();
    expect(told).toEqual([mismatch, "must be a readable file (ENOENT)", mismatch]);
  });

  it("takes a certificate when it begins to be valid", async () => {
    const { folder, reload, told } = follow();
    const root = await CertificateAuthority.create();
    folder.variables(await root.server({ notBefore: new Date(Date.now() + 60_000) }));
    await reload.look();
    await reload.look();
    expect(told).toEqual([expect.stringMatching(/^must be valid, but is not before/)]);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
    onTestFinished(() => void vi.useRealTimers());
    await reload.look();
    expect(told.slice(1)).toEqual(["replaced"]);
  });

  it("tells nothing once it is stopped, not even of what it was reading", async () => {
    const { folder, reload, told } = follow();
    folder.variables(second);
    await reload.look();
    const looking = reload.look();
    reload.stop();
    await looking;
    expect(told).toEqual([]);
  });
});
