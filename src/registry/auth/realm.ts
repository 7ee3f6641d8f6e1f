import { TagferryError } from "../../errors/error.ts";
import { literalAddress } from "../transport/private-address.ts";

/** Public suffixes of two labels under which different people register; below them three labels make a domain. */
const SECOND_LEVEL = new Set([
  "ac",
  "co",
  "com",
  "edu",
  "gob",
  "gov",
  "ltd",
  "mil",
  "ne",
  "net",
  "nom",
  "or",
  "org",
  "plc",
  "sch",
]);
const SHARED_HOSTING = [
  "amazonaws.com",
  "azurecr.io",
  "azurewebsites.net",
  "cloudapp.net",
  "cloudfront.net",
  "github.io",
  "gitlab.io",
  "herokuapp.com",
  "pages.dev",
  "run.app",
  "web.app",
  "workers.dev",
];

/**
 * The domain somebody registered: two labels, three below `co.uk` and its like or below a host that lends names to
 * strangers. An approximation of the public suffix list that errs on the narrow side; `tokenRealms` widens it.
 */
export function registrableDomain(hostname: string): string {
  const name = hostname.toLowerCase().replace(/\.$/, "");
  const labels = name.split(".");
  const shared = SHARED_HOSTING.find((suffix) => name.endsWith(`.${suffix}`));
  if (shared !== undefined) return name; // every name there may be somebody else
  const country = (labels.at(-1)?.length ?? 0) === 2 && SECOND_LEVEL.has(labels.at(-2) ?? "");
  return labels.slice(country ? -3 : -2).join(".");
}

export type RealmPolicy = {
  readonly registryUrl: URL;
  readonly tokenRealms: readonly string[];
};

/**
 * Where a registry sends us for a token, when credentials may go there: its own host, a host of the same registrable
 * domain (registry.gitlab.com → gitlab.com), or one the configuration lists. Addresses and localhost match exactly.
 *
 * Credentials that left for a realm of the registry's choice were CVE-2026-33540 (distribution) and CVE-2026-48978 (oras-go).
 *
 * @throws {TagferryError} AUTH_REALM, which names both hosts
 */
export function checkRealm(realm: string, { registryUrl, tokenRealms }: RealmPolicy): URL {
  const shown = realm.replace(/\/\/[^@/]*@/, "//***@").slice(0, 200);
  const refuse = (why: string): TagferryError =>
    new TagferryError("AUTH_REALM", `${registryUrl.host} sends us to the token server "${shown}": ${why}`, {
      where: registryUrl.host,
      found: shown,
      allowed: `https, and ${registryUrl.hostname}, its own domain, or a host under tokenRealms`,
    });
  const url = URL.parse(realm);
  if (!url || url.hostname === "") throw refuse("it is no address");
  if (url.protocol !== "https:" && url.protocol !== "http:") throw refuse("it is no web address");
  if (url.username !== "" || url.password !== "") throw refuse("it has a user");
  if (url.protocol === "http:" && registryUrl.protocol === "https:") throw refuse("it is not encrypted");
  const listed = tokenRealms.some((host) => host === url.host || host === url.hostname);
  if (listed || sameParty(url.hostname, registryUrl.hostname)) return url;
  throw refuse("it is another host");
}

function sameParty(realm: string, registry: string): boolean {
  if (realm === registry) return true;
  if (literalAddress(realm) !== undefined || literalAddress(registry) !== undefined) return false;
  if (!realm.includes(".") || !registry.includes(".")) return false;
  return registrableDomain(realm) === registrableDomain(registry);
}
