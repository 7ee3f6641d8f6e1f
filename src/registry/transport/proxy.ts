import { BlockList, isIP } from "node:net";

import { TagferryError } from "../../errors/error.ts";
import { literalAddress } from "./private-address.ts";

/** The proxy for an origin; undefined: none. */
export type ProxyRules = (origin: URL) => URL | undefined;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in upper or lower case. NO_PROXY may contain `*`, hosts,
 * `.suffixes`, `host:port`, addresses and CIDR ranges. OpenShift uses ranges, and undici's own reader ignores them.
 *
 * @throws {TagferryError} PROXY_INVALID, without the proxy's password
 */
export function parseProxy(env: Environment): ProxyRules {
  const read = (name: string): string | undefined => {
    const value = env[name.toLowerCase()] ?? env[name];
    return value === undefined || value.trim() === "" ? undefined : value.trim();
  };
  const all = proxyUrl("ALL_PROXY", read("ALL_PROXY"));
  const https = proxyUrl("HTTPS_PROXY", read("HTTPS_PROXY")) ?? all;
  const http = proxyUrl("HTTP_PROXY", read("HTTP_PROXY")) ?? all;
  const bypassed = bypass(read("NO_PROXY") ?? "");
  return (origin) => (bypassed(origin) ? undefined : origin.protocol === "https:" ? https : http);
}

function proxyUrl(name: string, text: string | undefined): URL | undefined {
  if (text === undefined) return undefined;
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  if (url && url.hostname !== "" && (url.protocol === "http:" || url.protocol === "https:")) return url;
  throw new TagferryError("PROXY_INVALID", `${name} is not a valid proxy address`, {
    where: name,
    found: text.replace(/\/\/[^@/]*@/, "//***@"),
    allowed: "http://host:port or https://host:port",
  });
}

function bypass(text: string): (origin: URL) => boolean {
  const ranges = new BlockList();
  const names: string[] = [];
  for (const entry of text.split(/[\s,]+/).filter((one) => one !== "")) {
    const [address = "", prefix] = entry.split("/");
    const family = isIP(address);
    if (family === 0) names.push(entry.toLowerCase());
    else if (prefix === undefined) ranges.addAddress(address, family === 6 ? "ipv6" : "ipv4");
    else if (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 6 ? 128 : 32))
      ranges.addSubnet(address, Number(prefix), family === 6 ? "ipv6" : "ipv4");
  }
  return ({ hostname, port, protocol }) => {
    const host = (literalAddress(hostname) ?? hostname).toLowerCase();
    const family = isIP(host);
    if (family !== 0 && ranges.check(host, family === 6 ? "ipv6" : "ipv4")) return true;
    const actualPort = port === "" ? (protocol === "https:" ? "443" : "80") : port;
    return names.some((name) => matches(name, host, actualPort));
  };
}

function matches(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  const [name = "", wantedPort] = entry.split(":");
  if (wantedPort !== undefined && wantedPort !== port) return false;
  const suffix = name.replace(/^\*?\./, "");
  return host === suffix || host.endsWith(`.${suffix}`);
}
