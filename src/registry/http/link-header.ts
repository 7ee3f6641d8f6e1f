import { TagferryError } from "../../errors/error.ts";

/** A listing longer than this is taken for one that never ends. */
export const PAGES_MAX = 100_000;

/**
 * The next page of a listing, from `Link: <…>; rel="next"`, resolved against the request's own URL.
 *
 * @throws {TagferryError} LINK_FOREIGN when it is on another host (credentials would follow), TAGS_LIMIT when it was seen before
 */
export function nextPage(
  link: string | string[] | undefined,
  url: URL,
  seen: ReadonlySet<string>,
): URL | undefined {
  const target = linkTarget(Array.isArray(link) ? link.join(", ") : link);
  if (target === undefined) return undefined;
  const next = URL.parse(target, url.href);
  if (!next || next.origin !== url.origin)
    throw new TagferryError("LINK_FOREIGN", `${url.host}: the next page of the listing is elsewhere`, {
      where: `${url.host}${url.pathname}`,
      found: next ? next.origin : "no address",
      allowed: url.origin,
    });
  // Nexus and Artifactory name the path they have behind their proxy: only the position in the listing is theirs to tell
  if (next.pathname !== url.pathname && next.pathname.endsWith(url.pathname)) next.pathname = url.pathname;
  if (seen.has(next.href) || seen.size > PAGES_MAX)
    throw new TagferryError("TAGS_LIMIT", `${url.host}: the listing does not end`, {
      where: `${url.host}${url.pathname}`,
      found: seen.has(next.href) ? "the same page again" : `${seen.size} pages`,
    });
  return next;
}

/** @see https://www.rfc-editor.org/rfc/rfc8288#section-3 */
function linkTarget(header: string | undefined): string | undefined {
  for (const [, target, parameters = ""] of (header ?? "").matchAll(/<([^>]*)>([^,]*)/g))
    if (/;\s*rel\s*=\s*"?next"?/i.test(parameters)) return target;
  return undefined;
}
