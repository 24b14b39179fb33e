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
/**
 * Dot-separated labels of letters, digits, hyphens and underscores, none longer than 63 (RFC 1035). The last one is no
 * number, for then the domain would be an IPv4 address.
 */
const DOMAIN =
  /^(?!(?:.*\.)?\d+$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/**
 * The form of most addresses, which lower case alone normalises: plain ASCII, and a domain that is no longer than one
 * label may be, has no two hyphens side by side, as Punycode has, and ends in letters, unlike an IPv4 address.
 */
const PLAIN_ADDRESS = /^[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?=.{1,63}$)(?:[A-Za-z\d]+[.-])*[A-Za-z]+$/;

/**
 * Parses an e-mail address, internationalised ones included (RFC 6531). Returns undefined for what plainly is none;
 * whether a mailbox exists only a message sent there can tell.
 */
export function parseEmail(given: string): EmailAddress | undefined {
  const text = given.trim();
  const normalized = PLAIN_ADDRESS.test(text) ? text.toLowerCase() : normalize(text);
  return normalized === undefined ? undefined : { given, normalized };
}

function normalize(address: string): string | undefined {
  const text = address.normalize("NFC");
  const at = text.lastIndexOf("@");
  if (at === -1) return undefined;

  const localPart = text.slice(0, at);
  if (Buffer.byteLength(localPart) > MAX_LOCAL_PART || !LOCAL_PART.test(localPart)) return undefined;

  const domain = toAsciiDomain(text.slice(at + 1));
  if (domain.length > MAX_DOMAIN || !DOMAIN.test(domain)) return undefined;

  return `${foldCase(localPart)}@${domain}`;
}

/** The lower-case ASCII form of a domain name, or an empty string if there is none. */
function toAsciiDomain(domain: string): string {
  // domainToASCII parses as a URL host would: it unescapes, cuts off a path, and drops tabs and line breaks.
  return /[\s\p{Cc}%/\\?#[\]]/u.test(domain) ? "" : domainToASCII(domain);
}

/**
 * Folds case for comparison. By way of upper case, so that letters with several lower-case forms meet ("ß" and "ss", "ſ"
 * and "s", both sigmas); from lower case, because "ẞ" is its own upper case. That is wider than Unicode's default folding
 * by a few letters: a collision refuses an address, whereas a missed one would let two users share a mailbox.
 */
function foldCase(text: string): string {
  return text.toLowerCase().toUpperCase().toLowerCase().replaceAll("ς", "σ").normalize("NFC");
}
