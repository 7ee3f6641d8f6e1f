import { TagferryError } from "../../errors/error.ts";
import type { Digest } from "../../oci/digest.ts";

/**
 * The URL at which an upload continues: the `Location` header, unchanged.
 *
 * A relative URL is resolved against the request's URL. http from a registry that uses https is a misconfigured proxy,
 * and is read as https (Harbor behind a proxy). Any other origin is refused, because it would receive the layer and our
 * credentials (CVE-2026-50151).
 *
 * @throws {TagferryError} UPLOAD_LOCATION
 */
export function uploadLocation(location: string | string[] | undefined, requestUrl: URL, where: string): URL {
  const text = Array.isArray(location) ? location[0] : location;
  const refuse = (found: string): TagferryError =>
    new TagferryError("UPLOAD_LOCATION", `${where}: the registry sends the upload to another host`, {
      where,
      found,
      allowed: requestUrl.origin,
    });
  if (text === undefined || text === "") throw refuse("no Location");
  const url = URL.parse(text, requestUrl.href);
  if (!url) throw refuse("no address");
  if (url.username !== "" || url.password !== "") throw refuse("an address with a user");
  if (requestUrl.protocol === "https:" && url.protocol === "http:" && url.hostname === requestUrl.hostname) {
    url.protocol = "https:";
    url.port = requestUrl.port;
  }
  if (url.origin !== requestUrl.origin) throw refuse(url.origin);
  return url;
}

/** Adds the digest to an upload URL without changing its query, because the query may be signed. */
export function withDigest(location: URL, digest: Digest): URL {
  const { href } = location;
  return new URL(`${href}${href.includes("?") ? "&" : "?"}digest=${encodeURIComponent(digest)}`);
}
