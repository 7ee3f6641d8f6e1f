import { isIPv6 } from "node:net";

/** The remote address without the IPv4-in-IPv6 prefix; undefined for a Unix socket. */
export function addressText(address: string | undefined): string | undefined {
  return address?.replace(/^::ffff:/, "");
}

/**
 * The key of a peer: an IPv4 address, or the /64 network of an IPv6 address, because one machine can use many addresses
 * in it.
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
