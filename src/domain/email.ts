import { domainToASCII } from "node:url";

/** An e-mail address that is well-formed. */
export interface EmailAddress {
  /** The address as its owner wrote it. */
  readonly given: string;
  /** What makes two addresses the same: trimmed, NFC, IDNA domain, case-folded. */
  readonly normalized: string;
}

/** Lengths of RFC 5321 section 4.5.3.1, in bytes. */
const MAX_LOCAL_PART = 64;
const MAX_DOMAIN = 253;

/** Everything RFC 6531 allows without quotes; empty atoms ("a..b") are let pass, for such mailboxes exist. */
const LOCAL_PART = /^[^\s\p{C}()<>[\]:;@\\,"]+$/u;
/** Dot-separated labels of letters, digits, hyphens and underscores, none longer than 63 (RFC 1035). */
const DOMAIN = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/**
 * Parses an e-mail address, internationalised ones included (RFC 6531). Returns undefined for what plainly is none;
 * whether a mailbox exists only a message sent there can tell.
 */
export function parseEmail(given: string): EmailAddress | undefined {
  const text = given.trim().normalize("NFC");
  const at = text.lastIndexOf("@");
  if (at === -1) return undefined;

  const localPart = text.slice(0, at);
  if (Buffer.byteLength(localPart) > MAX_LOCAL_PART || !LOCAL_PART.test(localPart)) return undefined;

  const domain = toAsciiDomain(text.slice(at + 1));
  if (domain.length > MAX_DOMAIN || !DOMAIN.test(domain)) return undefined;

  return { given, normalized: `${foldCase(localPart)}@${domain}` };
}

/** The lower-case ASCII form of a domain name, or an empty string if there is none. */
function toAsciiDomain(domain: string): string {
  // domainToASCII parses as a URL host would, and so reads escapes and addresses that no e-mail domain has.
  return /^[^%/?#[\]]*$/.test(domain) ? domainToASCII(domain) : "";
}

/**
 * Folds case for comparison. Upper case first, so that letters with several lower-case forms meet ("ß" and "ss", "ſ"
 * and "s", both sigmas). That is wider than Unicode's default folding by a few letters: a collision refuses an
 * address, whereas a missed one would let two users share a mailbox.
 */
function foldCase(text: string): string {
  return text.toUpperCase().toLowerCase().replaceAll("ς", "σ").normalize("NFC");
}
