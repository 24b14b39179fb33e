import { describe, expect, it } from "vitest";
import { parseEmail } from "../../src/domain/email.ts";
import { Random } from "../support/random.ts";

function normalized(text: string): string | undefined {
  return parseEmail(text)?.normalized;
}

const BYTES_64 = "a".repeat(64);
const LABEL_63 = "b".repeat(63);
/** 253 characters. */
const LONGEST_DOMAIN = `${LABEL_63}.${LABEL_63}.${LABEL_63}.${"c".repeat(61)}`;

describe("parseEmail", () => {
  it.each([
    ["a plain address", "ada@example.com", "ada@example.com"],
    ["a tag after a plus", "ada+lists@example.com", "ada+lists@example.com"],
    ["the other characters of an atom", "!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"],
    ["dots wherever they are", ".a..b.@example.com", ".a..b.@example.com"],
    ["a domain of a single label", "root@localhost", "root@localhost"],
    ["a domain with hyphens and underscores", "ada@_x.my-host.example", "ada@_x.my-host.example"],
    ["an internationalised domain", "ada@bücher.example", "ada@xn--bcher-kva.example"],
    ["a domain with ideographic dots", "ada@例子。公司", "ada@xn--fsqu00a.xn--55qx5d"],
    ["a local part outside ASCII", "用户@example.com", "用户@example.com"],
    ["a local part outside the basic plane", "😀@example.com", "😀@example.com"],
    ["capital letters, the last sigma like any other", "ΟΔΥΣΣΕΥΣ@EXAMPLE.com", "οδυσσευσ@example.com"],
    ["spaces around the address", " \t ada@example.com\r\n", "ada@example.com"],
    ["a local part of 64 bytes", `${BYTES_64}@example.com`, `${BYTES_64}@example.com`],
    ["a label of 63 letters", `ada@${LABEL_63}.com`, `ada@${LABEL_63}.com`],
    ["a domain of 253 letters", `ada@${LONGEST_DOMAIN}`, `ada@${LONGEST_DOMAIN}`],
  ])("accepts %s", (_, text, expected) => {
    expect(normalized(text)).toBe(expected);
  });

  it.each([
    ["nothing", ""],
    ["white space", " \t"],
    ["an address without @", "ada.example.com"],
    ["an @ alone", "@"],
    ["an empty local part", "@example.com"],
    ["an empty domain", "ada@"],
    ["a space in the local part", "ada lovelace@example.com"],
    ["a no-break space in the local part", "ada\u00a0lovelace@example.com"],
    ["a space before the @", "ada @example.com"],
    ["a space after the @", "ada@ example.com"],
    ["a space in the domain", "ada@exa mple.com"],
    ["a tab in the domain", "ada@exa\tmple.com"],
    ["a line feed in the domain", "ada@exa\nmple.com"],
    ["a carriage return in the domain", "ada@exa\rmple.com"],
    ["a control character in the local part", "a\u0007da@example.com"],
    ["a control character in the domain", "ada@exa\u0007mple.com"],
    ["NUL", "ada\u0000@example.com"],
    ["an invisible character in the local part", "a\u200bda@example.com"],
    ["a lone surrogate in the local part", "a\ud800@example.com"],
    ["a lone surrogate in the domain", "ada@\ud800.com"],
    ["two @", "ada@example@example.com"],
    ["two @ side by side", "ada@@example.com"],
    ["a quoted local part", '"ada lovelace"@example.com'],
    ["a display name", "Ada <ada@example.com>"],
    ["a list of addresses", "ada@example.com,bob@example.com"],
    ["a comment", "ada(lovelace)@example.com"],
    ["a local part of 65 bytes", `${BYTES_64}a@example.com`],
    ["a local part of 66 bytes in 33 letters", `${"é".repeat(33)}@example.com`],
    ["a label of 64 letters", `ada@${LABEL_63}b.com`],
    ["a domain of 254 letters", `ada@${LONGEST_DOMAIN}c`],
    ["a domain longer than 253 letters only in ASCII", `ada@${"ü.".repeat(100)}example`],
    ["a label that begins with a hyphen", "ada@-example.com"],
    ["a label that ends with a hyphen", "ada@example-.com"],
    ["an empty label", "ada@example..com"],
    ["a dot before the domain", "ada@.example.com"],
    ["a dot after the domain", "ada@example.com."],
    ["an invalid Punycode label", "ada@xn--.com"],
  ])("refuses %s", (_, text) => {
    expect(parseEmail(text)).toBeUndefined();
  });

  it.each([
    ["a port", "ada@example.com:80"],
    ["a path", "ada@example.com/path"],
    ["a backslash", "ada@example.com\\path"],
    ["a query", "ada@example.com?query"],
    ["a fragment", "ada@example.com#fragment"],
    ["an escape", "ada@ex%61mple.com"],
    ["an IPv6 address", "ada@[::1]"],
    ["an IPv4 literal", "ada@[127.0.0.1]"],
    ["an IPv4 address", "ada@127.0.0.1"],
    ["a number, which URLs read as an address", "ada@2130706433"],
    ["a hexadecimal number, which URLs read as an address", "ada@0x7f.1"],
    ["three numbers, which URLs read as an address", "ada@1.2.3"],
    ["wide digits, which URLs read as an address", "ada@１２７.０.０.１"],
    ["a number after a name", "ada@example.1"],
    ["a hexadecimal number after a name", "ada@example.0x7f"],
    ["a wide escape", "ada@ex％61mple.com"],
    ["a wide path", "ada@example.com／path"],
  ])("refuses a domain with the syntax of a URL: %s", (_, text) => {
    expect(parseEmail(text)).toBeUndefined();
  });

  it("keeps the given text exactly", () => {
    const given = " A\u030ada@B\u00dcCHER.Example\n";
    expect(parseEmail(given)).toEqual({ given, normalized: "\u00e5da@xn--bcher-kva.example" });
  });

  it.each([
    ["the case of the local part", "Ada@example.com", "aDA@example.com"],
    ["the case of the domain", "ada@EXAMPLE.com", "ada@example.COM"],
    ["the case of an internationalised domain", "ada@BÜCHER.example", "ada@bücher.example"],
    ["Punycode or Unicode", "ada@xn--bcher-kva.example", "ada@bücher.example"],
    ["the case of Punycode", "ada@XN--BCHER-KVA.example", "ada@bücher.example"],
    ["NFC or NFD in the local part", "\u00e9ve@example.com", "e\u0301ve@example.com"],
    ["NFC or NFD in the domain", "ada@caf\u00e9.example", "ada@cafe\u0301.example"],
    ["the width of the domain's letters", "ada@ｅｘａｍｐｌｅ.com", "ada@example.com"],
    ["the kind of dot", "ada@example。com", "ada@example.com"],
    ["ß or ss", "strauß@example.com", "strauss@example.com"],
    ["ß or SS", "strauß@example.com", "STRAUSS@example.com"],
    ["ß or ẞ", "strauß@example.com", "STRAUẞ@example.com"],
    ["the kind of sigma at the end", "οδυσσευς@example.com", "ΟΔΥΣΣΕΥΣ@example.com"],
    ["the kind of sigma inside", "οδυςσευς@example.com", "οδυσσευσ@example.com"],
    ["ſ or s", "ſophie@example.com", "sophie@example.com"],
    ["the Kelvin sign or k", "\u212aate@example.com", "kate@example.com"],
    ["a ligature or its letters", "ﬁona@example.com", "fiona@example.com"],
    ["spaces around", "  ada@example.com ", "ada@example.com"],
  ])("takes two addresses for the same whatever %s", (_, one, other) => {
    expect(normalized(one)).toBeDefined();
    expect(normalized(one)).toBe(normalized(other));
  });

  it.each([
    ["the local part", "ada@example.com", "bob@example.com"],
    ["the domain", "ada@example.com", "ada@example.org"],
    ["an accent", "eve@example.com", "éve@example.com"],
    ["a tag", "ada@example.com", "ada+tag@example.com"],
    ["a dot", "ada@example.com", "a.da@example.com"],
    ["ß or ss in the domain, two names under IDNA 2008", "ada@straße.example", "ada@strasse.example"],
  ])("tells two addresses apart by %s", (_, one, other) => {
    expect(normalized(one)).toBeDefined();
    expect(normalized(other)).toBeDefined();
    expect(normalized(one)).not.toBe(normalized(other));
  });

  it("parses a plain address as it does the same address with a wide letter, which takes IDNA", () => {
    const random = new Random(2);
    const accepted = new Set<string>();
    for (let round = 0; round < 20_000; round++) {
      const localPart = plainText(random);
      const domain = plainText(random);
      const plain = normalized(`${localPart}@${domain}`);
      expect(normalized(`${localPart}@${widened(domain, random)}`), `${localPart}@${domain}`).toBe(plain);
      if (plain !== undefined) accepted.add(plain);
    }
    expect(accepted.size).toBeGreaterThan(1000);
  });

  it("normalises what is normalised already to itself, and every spelling alike", () => {
    const random = new Random(1);
    for (let round = 0; round < 5000; round++) {
      const localPart = text(random);
      const address = `${localPart}@${text(random)}.example`;
      const once = normalized(address);
      if (once === undefined) continue;

      expect(normalized(once), `twice: ${JSON.stringify(address)}`).toBe(once);
      expect(normalized(address.normalize("NFD")), `NFD: ${JSON.stringify(address)}`).toBe(once);
      const domain = address.slice(localPart.length);
      for (const spelling of [localPart.toUpperCase(), localPart.toLowerCase()])
        expect(normalized(spelling + domain), JSON.stringify(spelling + domain)).toBe(once);
    }
  });
});

/** Letters whose case or composition is out of the ordinary, among ordinary ones. */
const LETTERS = [
  "a",
  ..."AzZ09.-_sSkKiI",
  ..."ßẞſσςΣıİŉǰΐΰᾳᾼﬁﬄÅéÜǄǅǆКкა",
  ..."ᏣꮳϴẛΩ用가😀𐐀𐐨",
  "\u212a",
  "\u212b",
] as const;
const MARKS = ["\u0301", "\u0308", "\u0323", "\u0307", ""] as const;

function text(random: Random): string {
  const letters = Array.from({ length: random.between(1, 6) }, () => random.pick(LETTERS));
  // An iota subscript before another mark is left out: not even Unicode's own upper and lower case agree there.
  return letters.map((letter) => (/[ᾳᾼ]/.test(letter) ? letter : letter + random.pick(MARKS))).join("");
}

/**
 * Fragments of plain addresses, and what makes them none: bad lengths, escapes, numbers and the like. Punycode is left out:
 * if malformed, domainToASCII takes it in a domain that is plain and refuses it in one that is not.
 */
const FRAGMENTS = [
  "a",
  ..."bZ0_.-.-",
  ..."+!%:\\ @",
  "example",
  "COM",
  "127.0",
  "0x7f",
  "--",
  "c".repeat(31),
  "D".repeat(58),
] as const;

function plainText(random: Random): string {
  return Array.from({ length: random.between(1, 5) }, () => random.pick(FRAGMENTS)).join("");
}

/** The same domain to IDNA, with one of its characters in the full-width form (U+FF01 to U+FF5E for "!" to "~"). */
function widened(domain: string, random: Random): string {
  const at = random.between(0, domain.length - 1);
  const wide = (character: string) => String.fromCharCode(character.charCodeAt(0) + 0xfee0);
  return domain.slice(0, at) + domain.slice(at).replace(/^[!-~]/, wide);
}
