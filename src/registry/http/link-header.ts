import { TagferryError } from "../../errors/error.ts";

/**
 * The next page of a listing, from `Link: <…>; rel="next"`, resolved against the request's URL.
 *
 * @throws {TagferryError} LINK_FOREIGN when it is on another host, which would receive our credentials
 */
export function nextPage(link: string | string[] | undefined, url: URL): URL | undefined {
  const target = linkTarget(Array.isArray(link) ? link.join(", ") : link);
  if (target === undefined) return undefined;
  const next = URL.parse(target, url.href);
  if (!next || next.origin !== url.origin)
    throw new TagferryError("LINK_FOREIGN", `${url.host}: the next page of the listing is on another host`, {
      where: `${url.host}${url.pathname}`,
      found: next ? next.origin : "no address",
      allowed: url.origin,
    });
  // Nexus and Artifactory send the path that they have behind their proxy. Only the position in the listing is used.
  if (next.pathname !== url.pathname && next.pathname.endsWith(url.pathname)) next.pathname = url.pathname;
  return next;
}

/**
 * The target of the first link with `rel=next`. Reads each character once, by index.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8288#section-3
 */
function linkTarget(header = ""): string | undefined {
  for (let at = header.indexOf("<"); at !== -1;) {
    const end = header.indexOf(">", at);
    if (end === -1) return undefined;
    const comma = header.indexOf(",", end);
    const parameters = header.slice(end + 1, comma === -1 ? undefined : comma).split(";");
    if (parameters.some(isNext)) return header.slice(at + 1, end);
    at = header.indexOf("<", end);
  }
  return undefined;
}

function isNext(parameter: string): boolean {
  const [name = "", value = ""] = parameter.split("=", 2);
  return (
    name.trim().toLowerCase() === "rel" && unquoted(value.trim()).toLowerCase().split(" ").includes("next")
  );
}

function unquoted(value: string): string {
  return value.startsWith('"') ? value.slice(1, value.endsWith('"') ? -1 : undefined) : value;
}
