import { isAbsolute, resolve } from "node:path";

import { TagferryError } from "../errors/error.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import { parseReference, parseTag, type Location } from "../oci/reference.ts";

/** An image of the command line: its location, and a tag or a digest. */
export type ImageArgument = { readonly location: Location; readonly tag?: string; readonly digest?: Digest };

/**
 * Reads `registry/repository[:tag][@digest]` or `oci:DIR[:tag]` (or `oci:DIR@digest`).
 *
 * The path of a directory may contain colons: the part after the last colon is a tag only when it contains no slash.
 *
 * @throws {TagferryError} REFERENCE_INVALID and what parseReference throws
 */
export function parseImageArgument(
  text: string,
  { directory }: { readonly directory: string },
): ImageArgument {
  if (!text.startsWith("oci:")) {
    const { tag, digest, registry, repository } = parseReference(text);
    return {
      location: { kind: "registry", registry, repository },
      ...(tag === undefined ? {} : { tag }),
      ...(digest === undefined ? {} : { digest }),
    };
  }
  const rest = text.slice("oci:".length);
  const at = rest.lastIndexOf("@");
  const digest = at === -1 ? undefined : rest.slice(at + 1);
  if (digest !== undefined && isDigest(digest))
    return { location: layoutAt(rest.slice(0, at), text, directory), digest };
  const colon = rest.lastIndexOf(":");
  const tagged = colon > 0 && !rest.slice(colon).includes("/");
  return {
    location: layoutAt(tagged ? rest.slice(0, colon) : rest, text, directory),
    ...(tagged ? { tag: parseTag(rest.slice(colon + 1)) } : {}),
  };
}

function layoutAt(path: string, text: string, directory: string): Location {
  if (path === "")
    throw new TagferryError("REFERENCE_INVALID", `"${text}" has no directory`, {
      found: text,
      allowed: "oci:DIR[:tag]",
    });
  return { kind: "layout", directory: isAbsolute(path) ? path : resolve(directory, path) };
}
