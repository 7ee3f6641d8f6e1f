import { isIPv6 } from "node:net";

/** The address of the other side without the IPv4-in-IPv6 prefix; undefined for a Unix socket. */
export function addressText(address: string | undefined): string | undefined {
  return address?.replace(/^::ffff:/, "");
}

/**
 * Who counts as one peer: an IPv4 address, or the /64 network of an IPv6 address, since one machine has as many addresses
 * there as it likes.
 */
export function peerOf(address: string | undefined): string {
  const text = addressText(address) ?? "";
  if (!isIPv6(text)) return text;
  const [head = "", tail] = text.split("::");
  const start = head.split(":").filter((group) => group !== "");
  const end = (tail ?? "").split(":").filter((group) => group !== "");
  const zeros = Array.from({ length: Math.max(0, 8 - start.length - end.length) }, () => "0");
  return `${(tail === undefined ? start : [...start, ...zeros, ...end]).slice(0, 4).join(":")}::/64`;
}

export function isLoopbackAddress(address: string | undefined): boolean {
  const text = addressText(address);
  return text === undefined || text === "::1" || text.startsWith("127.");
}
