import { TagferryError } from "../../errors/error.ts";

/**
 * Public registries whose token server has another host. Short on purpose: `tokenRealms` is for all others. Each
 * pair says where it is known from.
 */
const KNOWN_REALMS: readonly (readonly [registry: string, realm: string])[] = [
  ["registry-1.docker.io", "auth.docker.io"], // seen in its challenges
  ["registry.gitlab.com", "gitlab.com"], // its documented token server, /jwt/auth
  // Not seen in a challenge (the one that was seen names nvcr.io/proxy_auth): public clients get their tokens there.
  ["nvcr.io", "authn.nvidia.com"],
  // Not seen in a challenge: public scripts for the registry get their tokens there, others from the registry itself.
  ["registry.redhat.io", "sso.redhat.com"],
];

export type RealmPolicy = {
  readonly registryUrl: URL;
  readonly tokenRealms: readonly string[];
};

/**
 * Where a registry sends us for a token, when credentials may go there: its own origin (another
 * port is another origin), the token server that is known for it, or a host that the configuration lists.
 *
 * Credentials that left for a realm of the registry's choice were CVE-2026-33540 (distribution) and CVE-2026-48978 (oras-go).
 *
 * @throws {TagferryError} AUTH_REALM, which names both hosts
 */
export function checkRealm(realm: string, { registryUrl, tokenRealms }: RealmPolicy): URL {
  const shown = realm.slice(0, 200).replace(/\/\/[^@/]*@/, "//***@");
  const refuse = (why: string): TagferryError =>
    new TagferryError(
      "AUTH_REALM",
      `${registryUrl.host} names the token server "${shown}", which is not allowed: ${why}`,
      {
        where: registryUrl.host,
        found: shown,
        allowed: `${registryUrl.origin}, or a host under tokenRealms`,
      },
    );
  const url = URL.parse(realm);
  if (!url || url.hostname === "") throw refuse("it is not a valid address");
  if (url.protocol !== "https:" && url.protocol !== "http:") throw refuse("it is not a web address");
  if (url.username !== "" || url.password !== "") throw refuse("it has a user");
  if (url.protocol === "http:" && registryUrl.protocol === "https:") throw refuse("it is not encrypted");
  const isListed = tokenRealms.some((host) => host === url.host || host === url.hostname);
  const isKnown = KNOWN_REALMS.some(
    ([registry, host]) => `https://${registry}` === registryUrl.origin && `https://${host}` === url.origin,
  );
  if (isListed || isKnown || url.origin === registryUrl.origin) return url;
  throw refuse("it is another host or port");
}
