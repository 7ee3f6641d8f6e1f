import { TagferryError } from "../../errors/error.ts";

/**
 * Public registries whose challenges name a token server on another host. Short on purpose: `tokenRealms` is for all
 * others. docs/decisions.md names the evidence for each pair, and the registries that need none.
 */
const KNOWN_REALMS: readonly (readonly [registry: string, realm: string])[] = [
  ["registry-1.docker.io", "auth.docker.io"],
  ["registry.gitlab.com", "gitlab.com"],
  ["nvcr.io", "authn.nvidia.com"], // only after a token was refused; the first challenge names its own origin
];

export type RealmPolicy = {
  readonly registryUrl: URL;
  readonly tokenRealms: readonly string[];
};

/**
 * Where a registry sends us for a token, when credentials may go there: its own origin (another port is another
 * origin), the token server that is known for it, or a host that the configuration lists.
 *
 * Other clients sent credentials to any realm of the registry's choice: CVE-2026-33540 (distribution) and
 * CVE-2026-48978 (oras-go).
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
