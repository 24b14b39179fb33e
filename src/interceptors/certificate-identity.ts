import { X509Certificate } from "node:crypto";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { UnauthenticatedError } from "../grpc/errors.ts";
import { connectionOf } from "../grpc/wire.ts";
import type { Authenticate, Identity } from "./identity.ts";

/**
 * An entry of a list of subject alternative names, as Node writes it: JSON where the name holds what could be misread.
 */
const ENTRY = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

/**
 * Takes the certificate of a connection for the proof that a service calls. `services` holds the names of services by
 * what their certificates say: a subject alternative name such as `URI:spiffe://example.org/importer` or
 * `DNS:billing.internal`, exactly. The subject, with its common name, says nothing (RFC 6125, 6.4.4).
 *
 * The certificate must have been verified when the connection was made (mTLS), and must not have expired since. One
 * that stands for several services proves none. What was found out about a connection is kept with it.
 */
export function byCertificate(services: ReadonlyMap<string, string>): Authenticate {
  const known = new WeakMap<object, Identity>();
  return (_metadata, wire) => {
    const connection = connectionOf(wire);
    let identity = connection && known.get(connection);
    if (identity === undefined) {
      identity = identify(wire, services);
      if (connection !== undefined) known.set(connection, identity);
    }
    if (identity.expiresAtMs <= Date.now()) throw new UnauthenticatedError();
    return identity;
  };
}

const NOBODY: Identity = { principal: { id: "", role: "user" }, expiresAtMs: 0 };

function identify(wire: ServerInterceptingCallInterface, services: ReadonlyMap<string, string>): Identity {
  // grpc-js tells it only if it was verified.
  const { sslPeerCertificate } = wire.getAuthContext();
  if (sslPeerCertificate === undefined) return NOBODY;
  const { subjectAltName = "", validTo } = new X509Certificate(sslPeerCertificate.raw);
  const named = new Set(readAltNames(subjectAltName).flatMap((name) => services.get(name) ?? []));
  const [id] = named;
  if (id === undefined || named.size > 1) return NOBODY;
  return { principal: { id, role: "service" }, expiresAtMs: Date.parse(validTo) };
}

/** The names of a list, such as `DNS:a.example` and `URI:spiffe://b`; none if it cannot be read as a whole. */
export function readAltNames(list: string): string[] {
  const names: string[] = [];
  ENTRY.lastIndex = 0;
  while (ENTRY.lastIndex < list.length) {
    const [, kind, name = ""] = ENTRY.exec(list) ?? [];
    if (kind === undefined) return [];
    // A name that had to be quoted is none that could be configured.
    if (!name.startsWith('"')) names.push(toAltName(`${kind}:${name}`));
  }
  return names;
}

/** A subject alternative name in the form in which names are compared: those of hosts in lower case. */
export function toAltName(name: string): string {
  return name.startsWith("DNS:") ? `DNS:${name.slice(4).toLowerCase()}` : name;
}
