// @peculiar/x509 finds its parts by decorators, which need this.
import "reflect-metadata";
import type { webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

/** A certificate and its private key, as PEM. */
export interface CertificatePair {
  /** The certificate, and then those between it and the root. */
  readonly cert: string;
  readonly key: string;
}

/** What a certificate says. */
export interface CertificateOptions {
  /** The common name of its subject. */
  readonly name?: string;
  /** Whom it stands for, besides: `localhost` and the loopback addresses for servers, nobody for clients. */
  readonly alternativeNames?: readonly JsonGeneralName[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const HOUR_MS = 3_600_000;

const LOCALHOST: readonly JsonGeneralName[] = [
  { type: "dns", value: "localhost" },
  { type: "ip", value: "127.0.0.1" },
  { type: "ip", value: "::1" },
];

/** Somebody who signs certificates. */
export class CertificateAuthority {
  readonly #certificate: X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;
  /** The certificates between those that it signs and the root; empty for a root. */
  readonly #chain: string;
  /** Those who trust it have this. */
  readonly root: string;

  private constructor(certificate: X509Certificate, keys: webcrypto.CryptoKeyPair, parent?: CertificateAuthority) {
    this.#certificate = certificate;
    this.#keys = keys;
    this.#chain = parent === undefined ? "" : toPem(certificate) + parent.#chain;
    this.root = parent === undefined ? toPem(certificate) : parent.root;
  }

  /** Makes a root. */
  static async create(name = "a root"): Promise<CertificateAuthority> {
    const keys = await makeKeys();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      name: `CN=${name}`,
      ...validity({}),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: authorityExtensions(),
    });
    return new CertificateAuthority(certificate, keys);
  }

  /** Makes a certificate that nobody has signed but its own key. */
  static async selfSigned(name = "nobody"): Promise<CertificatePair> {
    const keys = await makeKeys();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      name: `CN=${name}`,
      ...validity({}),
      keys,
      signingAlgorithm: ALGORITHM,
    });
    return { cert: toPem(certificate), key: await keyToPem(keys.privateKey) };
  }

  /** Makes an authority that this one has signed. */
  async intermediate(name = "an intermediate"): Promise<CertificateAuthority> {
    const keys = await makeKeys();
    return new CertificateAuthority(await this.#sign(keys, { name }, authorityExtensions()), keys, this);
  }

  /** Signs a certificate that a server can use. */
  server(options: CertificateOptions = {}): Promise<CertificatePair> {
    return this.#issue({ name: "a server", alternativeNames: LOCALHOST, ...options }, ExtendedKeyUsage.serverAuth);
  }

  /** Signs a certificate that a client can use. */
  client(options: CertificateOptions = {}): Promise<CertificatePair> {
    return this.#issue({ name: "a client", ...options }, ExtendedKeyUsage.clientAuth);
  }

  /** Signs a certificate that a server can use as a client, too: as in a mesh. */
  peer(options: CertificateOptions = {}): Promise<CertificatePair> {
    const usages = [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth];
    return this.#issue({ name: "a peer", alternativeNames: LOCALHOST, ...options }, ...usages);
  }

  async #issue(options: CertificateOptions, ...usages: ExtendedKeyUsage[]): Promise<CertificatePair> {
    const keys = await makeKeys();
    const { alternativeNames = [] } = options;
    const certificate = await this.#sign(keys, options, [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension(usages),
      ...(alternativeNames.length > 0 ? [new SubjectAlternativeNameExtension([...alternativeNames])] : []),
    ]);
    return { cert: toPem(certificate) + this.#chain, key: await keyToPem(keys.privateKey) };
  }

  #sign(
    keys: webcrypto.CryptoKeyPair,
    options: CertificateOptions,
    extensions: NonNullable<Parameters<typeof X509CertificateGenerator.create>[0]["extensions"]>,
  ): Promise<X509Certificate> {
    return X509CertificateGenerator.create({
      subject: `CN=${options.name}`,
      issuer: this.#certificate.subject,
      ...validity(options),
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions,
    });
  }
}

/** The name that a client certificate may have as a SPIFFE identity. */
export function uriName(value: string): JsonGeneralName {
  return { type: "url", value };
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

function validity({ notBefore, notAfter }: CertificateOptions): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return {
    notBefore: notBefore ?? new Date(now - HOUR_MS),
    notAfter: notAfter ?? new Date(now + 24 * 30 * HOUR_MS),
  };
}

function authorityExtensions() {
  const usages = KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign;
  return [new BasicConstraintsExtension(true, undefined, true), new KeyUsagesExtension(usages, true)];
}

function toPem(certificate: X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}

async function keyToPem(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await crypto.subtle.exportKey("pkcs8", key)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${bytes.replace(/.{64}(?=.)/g, "$&\n")}\n-----END PRIVATE KEY-----\n`;
}
