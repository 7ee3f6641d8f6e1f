import { BlockList, isIP } from "node:net";

/**
 * Where an address leads. `link`: link-local addresses, and the metadata services of clouds, which give credentials.
 * `private`: all others that are not on the internet.
 */
export type AddressClass = "public" | "private" | "loopback" | "link";

type Range = readonly [address: string, prefix: number];

const LOOPBACK = blockList([
  ["0.0.0.0", 8], // unspecified: this machine
  ["127.0.0.0", 8],
  ["::", 128],
  ["::1", 128],
]);

const LINK = blockList([
  ["169.254.0.0", 16], // with most metadata services
  ["fe80::", 10],
  ["100.100.100.200", 32], // Alibaba
  ["192.0.0.192", 32], // Oracle
  ["168.63.129.16", 32], // Azure
  ["fd00:ec2::254", 128], // AWS
  ["fd20:ce::254", 128], // Google
]);

const PRIVATE = blockList([
  ["10.0.0.0", 8],
  ["100.64.0.0", 10], // shared
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 3], // multicast and reserved
  ["fc00::", 7],
  ["fec0::", 10],
  ["ff00::", 8],
]);

const NAT64 = blockList([
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
]);
const SIX_TO_FOUR = blockList([["2002::", 16]]);
/** `::ffff:a.b.c.d` and the older `::a.b.c.d`. */
const MAPPED = blockList([
  ["::ffff:0:0", 96],
  ["::", 96],
]);

/** Host names of metadata services. */
const METADATA_NAMES = new Set([
  "metadata",
  "metadata.google.internal",
  "metadata.goog",
  "instance-data",
  "instance-data.ec2.internal",
]);

function blockList(ranges: readonly Range[]): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of ranges)
    list.addSubnet(address, prefix, isIP(address) === 6 ? "ipv6" : "ipv4");
  return list;
}

export function classOfAddress(address: string): AddressClass {
  const [bare = ""] = address.split("%", 1); // without its zone
  const family = isIP(bare) === 6 ? "ipv6" : "ipv4";
  if (LOOPBACK.check(bare, family)) return "loopback";
  if (LINK.check(bare, family)) return "link";
  if (PRIVATE.check(bare, family)) return "private";
  return family === "ipv6" ? classOfDisguised(bare) : "public";
}

/** An IPv6 address that contains an IPv4 address has the class of that one, but never `public` through a gateway. */
function classOfDisguised(address: string): AddressClass {
  if (MAPPED.check(address, "ipv6")) return classOfAddress(dotted(groupsOf(address).slice(6)));
  const isNat64 = NAT64.check(address, "ipv6");
  if (!isNat64 && !SIX_TO_FOUR.check(address, "ipv6")) return "public";
  const groups = groupsOf(address);
  const inner = classOfAddress(dotted(isNat64 ? groups.slice(6) : groups.slice(1, 3)));
  return inner === "public" ? "private" : inner;
}

/** The eight groups of an IPv6 address. `URL` converts it to its shortest form, without dots. */
function groupsOf(address: string): readonly number[] {
  const text = URL.parse(`http://[${address}]/`)?.hostname.slice(1, -1) ?? "";
  const [before = [], after = []] = text
    .split("::", 2)
    .map((part) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16))));
  return [...before, ...Array<number>(Math.max(0, 8 - before.length - after.length)).fill(0), ...after];
}

function dotted([high = 0, low = 0]: readonly number[]): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/** The host of a URL, if it is an address: `[::1]` without brackets. */
export function literalAddress(hostname: string): string | undefined {
  const bare = hostname.startsWith("[") && hostname.endsWith("]") ? hostname.slice(1, -1) : hostname;
  return isIP(bare) === 0 ? undefined : bare;
}

/** The class of a host without a lookup: of an address, or of a name with a fixed meaning. Other names are `public`. */
export function classOfHost(hostname: string): AddressClass {
  const address = literalAddress(hostname);
  if (address !== undefined) return classOfAddress(address);
  const name = hostname.toLowerCase();
  const bare = name.endsWith(".") ? name.slice(0, -1) : name;
  if (METADATA_NAMES.has(bare)) return "link";
  return bare === "localhost" || bare.endsWith(".localhost") ? "loopback" : "public";
}
