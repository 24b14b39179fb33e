/**
 * What counts as one address: an IPv4 address, also in its IPv6 form (RFC 4291, section 2.5.5.2), or the 64 leading
 * bits of an IPv6 address, since whoever has one of those has them all (RFC 6177). Takes addresses as Node writes them.
 */
export function addressGroup(address: string): string {
  if (!address.includes(":")) return address;
  if (address.includes(".")) return address.slice(address.lastIndexOf(":") + 1);
  const [head = ""] = address.split("%");
  const [before = "", after] = head.split("::");
  const groups = before === "" ? [] : before.split(":");
  if (after !== undefined) {
    const rest = after === "" ? [] : after.split(":");
    groups.push(...Array<string>(8 - groups.length - rest.length).fill("0"), ...rest);
  }
  return `${groups.slice(0, 4).join(":")}::/64`;
}
