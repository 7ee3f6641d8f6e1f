import { BlockList, isIP } from "node:net";

/** Addresses no public registry sends anybody to: this machine, the link, metadata services, private networks. */
const PRIVATE = blockList([
  ["0.0.0.0", 8], // unspecified
  ["10.0.0.0", 8],
  ["100.64.0.0", 10], // shared, with Alibaba's metadata service
  ["127.0.0.0", 8],
  ["169.254.0.0", 16], // link-local, with the metadata services
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 3], // multicast and reserved
  ["::", 128],
  ["::1", 128],
  ["64:ff9b::", 96], // NAT64: an IPv4 address in disguise
  ["2002::", 16], // 6to4: the same
  ["fc00::", 7],
  ["fe80::", 10],
  ["fec0::", 10],
  ["ff00::", 8],
]);

function blockList(ranges: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of ranges)
    list.addSubnet(address, prefix, isIP(address) === 6 ? "ipv6" : "ipv4");
  return list;
}

export function isPrivateAddress(address: string): boolean {
  const mapped = /^::ffff:(?:(\d+\.\d+\.\d+\.\d+)|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/i.exec(address);
  if (mapped) return isPrivateAddress(mapped[1] ?? dotted(mapped[2] ?? "0", mapped[3] ?? "0"));
  return PRIVATE.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

function dotted(high: string, low: string): string {
  const [one, two] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [one >> 8, one & 255, two >> 8, two & 255].join(".");
}

/** The host of a URL as an address, when it is one: `[::1]` without its brackets. */
export function literalAddress(hostname: string): string | undefined {
  const bare = hostname.startsWith("[") && hostname.endsWith("]") ? hostname.slice(1, -1) : hostname;
  return isIP(bare) === 0 ? undefined : bare;
}

/** A host that is private by its looks: an address of a private range, or a name that means this machine. */
export function isPrivateHost(hostname: string): boolean {
  const address = literalAddress(hostname);
  if (address !== undefined) return isPrivateAddress(address);
  const name = hostname.toLowerCase();
  const bare = name.endsWith(".") ? name.slice(0, -1) : name;
  return bare === "localhost" || bare.endsWith(".localhost");
}
