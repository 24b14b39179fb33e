import { domainToASCII } from "node:url";
const MAX_LOCAL_PART = 64;
const MAX_DOMAIN = 253;
const LOCAL_PART = /^[^\s\p{C}()<>[\]:;@\\,"]+$/u;
const DOMAIN = /^(?!(?:.*\.)?\d+$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;
const PLAIN_ADDRESS = /^[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?=.{1,63}$)(?:[A-Za-z\d]+[.-])*[A-Za-z]+$/;
export function parseEmail(given) {
    const text = given.trim();
    const normalized = PLAIN_ADDRESS.test(text) ? text.toLowerCase() : normalize(text);
    return normalized === undefined ? undefined : { given, normalized };
}
function normalize(address) {
    const text = address.normalize("NFC");
    const at = text.lastIndexOf("@");
    if (at === -1)
        return undefined;
    const localPart = text.slice(0, at);
    if (Buffer.byteLength(localPart) > MAX_LOCAL_PART || !LOCAL_PART.test(localPart))
        return undefined;
    const domain = toAsciiDomain(text.slice(at + 1));
    if (domain.length > MAX_DOMAIN || !DOMAIN.test(domain))
        return undefined;
    return `${foldCase(localPart)}@${domain}`;
}
function toAsciiDomain(domain) {
    return /[\s\p{Cc}%/\\?#[\]]/u.test(domain) ? "" : domainToASCII(domain);
}
function foldCase(text) {
    return text.toLowerCase().toUpperCase().toLowerCase().replaceAll("ς", "σ").normalize("NFC");
}
