import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createSecureContext, type SecureContextOptions } from "node:tls";

/** Where a server's TLS identity is kept: PEM files, as cert-manager and Kubernetes write them. */
export interface TlsFiles {
  /** The server's certificate, and then those between it and a root that clients know. */
  readonly cert: string;
  /** The private key of the certificate, not encrypted. */
  readonly key: string;
  /** The certificates of those who sign the certificates of clients. Undefined: clients need no certificate. */
  readonly clientCa: string | undefined;
}

/** What was read: the text of each file, or why there is none. */
export interface TlsContents {
  readonly cert: string | Error;
  readonly key: string | Error;
  readonly clientCa: string | Error | undefined;
}

/** What is wrong with a file: `fault` goes on after its path, as in `must be a readable file (ENOENT)`. */
export interface TlsFault {
  readonly file: keyof TlsFiles;
  readonly fault: string;
}

/** The files are no identity to serve with. */
export class TlsFilesError extends Error {
  override readonly name = "TlsFilesError";
  readonly faults: readonly TlsFault[];

  constructor(faults: readonly TlsFault[]) {
    super(faults.map(({ file, fault }) => `${file} ${fault}`).join("; "));
    this.faults = faults;
  }
}

/** What a server proves itself with, and whom it believes: checked, and complete. */
export interface TlsIdentity {
  /** What it was made of. */
  readonly contents: TlsContents;
  /** For node:tls: the certificate, the key, the client CA, the versions and the ciphers. */
  readonly context: SecureContextOptions;
  readonly requiresClientCertificate: boolean;
  /** The SHA-256 of the certificate, in hexadecimal with colons, as openssl prints it. */
  readonly fingerprint: string;
  /** When the certificate expires. */
  readonly notAfter: Date;
}

/**
 * What HTTP/2 may run on with TLS 1.2: ephemeral keys and authenticated encryption (RFC 9113, section 9.2.2). Node's
 * own list has others too, which HTTP/2 clients may refuse. The first three are all that TLS 1.3 has.
 */
const CIPHERS = [
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_128_GCM_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** Reads the files, at once. */
export function readTlsFilesSync({ cert, key, clientCa }: TlsFiles): TlsContents {
  const read = (path: string): string | Error => {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      return toError(error);
    }
  };
  return { cert: read(cert), key: read(key), clientCa: clientCa === undefined ? undefined : read(clientCa) };
}

/** Reads the files, while others work: they may be on a network. */
export async function readTlsFiles({ cert, key, clientCa }: TlsFiles): Promise<TlsContents> {
  const read = (path: string): Promise<string | Error> => readFile(path, "utf8").catch(toError);
  const [certText, keyText, caText] = await Promise.all([
    read(cert),
    read(key),
    clientCa === undefined ? undefined : read(clientCa),
  ]);
  return { cert: certText, key: keyText, clientCa: caText };
}

/** Whether the same was read. */
export function sameContents(one: TlsContents, other: TlsContents): boolean {
  const names = ["cert", "key", "clientCa"] as const;
  return names.every((name) => String(one[name]) === String(other[name]));
}

/**
 * Makes an identity of what was read.
 *
 * @throws TlsFilesError with all faults at once: a file that cannot be read or holds something else, a key of another
 * certificate, a certificate that is not valid now.
 */
export function toTlsIdentity(contents: TlsContents, now = Date.now()): TlsIdentity {
  const faults: TlsFault[] = [];
  const take = <T>(file: keyof TlsFiles, parse: (text: string) => T, otherwise: string): T | undefined => {
    const text = contents[file];
    if (text instanceof Error) faults.push({ file, fault: `must be a readable file (${codeOf(text)})` });
    if (typeof text !== "string") return undefined;
    try {
      return parse(text);
    } catch {
      faults.push({ file, fault: otherwise });
      return undefined;
    }
  };

  const chain = take("cert", parseCertificates, "must hold certificates (PEM), whole");
  const key = take("key", parseKey, "must hold a private key (PEM), not encrypted");
  const authorities = take("clientCa", parseCertificates, "must hold certificates (PEM), whole");
  const [certificate] = chain ?? [];
  if (certificate !== undefined) faults.push(...faultsOf(certificate, key, now));

  const context: SecureContextOptions = {
    cert: chain?.join(""),
    key: key?.export({ type: "pkcs8", format: "pem" }),
    ca: authorities?.map(String),
    minVersion: "TLSv1.2",
    ciphers: CIPHERS,
  };
  if (certificate !== undefined && faults.length === 0) faults.push(...refusalOf(context));
  if (certificate === undefined || faults.length > 0) throw new TlsFilesError(faults);
  return {
    contents,
    context,
    requiresClientCertificate: authorities !== undefined,
    fingerprint: certificate.fingerprint256,
    notAfter: certificate.validToDate,
  };
}

function faultsOf(certificate: X509Certificate, key: KeyObject | undefined, now: number): TlsFault[] {
  const { validFromDate, validToDate } = certificate;
  const faults: TlsFault[] = [];
  // Nobody would talk to the server. A start that fails is noticed by those who can mend it, and before the old
  // replicas go.
  if (validToDate.getTime() <= now) {
    faults.push({ file: "cert", fault: `must be valid, but expired at ${validToDate.toISOString()}` });
  }
  if (validFromDate.getTime() > now) {
    faults.push({ file: "cert", fault: `must be valid, but is not before ${validFromDate.toISOString()}` });
  }
  if (key !== undefined && !certificate.checkPrivateKey(key)) {
    faults.push({ file: "key", fault: "must be the key of the certificate, but is another's" });
  }
  return faults;
}

/** What else OpenSSL has against it, such as a key that is too short. */
function refusalOf(context: SecureContextOptions): TlsFault[] {
  try {
    createSecureContext(context);
    return [];
  } catch (error) {
    return [{ file: "cert", fault: `must be accepted by OpenSSL (${toError(error).message})` }];
  }
}

/** The certificates of a PEM file, of which each must be whole: OpenSSL takes what it can read and drops the rest. */
function parseCertificates(text: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
  if (blocks.length === 0 || blocks.length !== text.split("-----BEGIN CERTIFICATE").length - 1)
    throw new Error("not whole");
  return blocks.map((block) => new X509Certificate(block));
}

function parseKey(text: string): KeyObject {
  return createPrivateKey(text);
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function codeOf(error: Error): string {
  return "code" in error ? String(error.code) : "unreadable";
}
