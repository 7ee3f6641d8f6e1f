import { isAbsolute, resolve } from "node:path";

import { TagferryError } from "../errors/error.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import { parseReference, parseTag, type Location } from "../oci/reference.ts";

/** An image as the command line writes it: where, and which. */
export type ImageArgument = { readonly place: Location; readonly tag?: string; readonly digest?: Digest };

/**
 * Reads `registry/repository[:tag][@digest]` or `oci:DIR[:tag]` (or `oci:DIR@digest`).
 *
 * A directory may hold colons; what follows the last one is a tag only when it looks like one.
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
      place: { kind: "registry", registry, repository },
      ...(tag === undefined ? {} : { tag }),
      ...(digest === undefined ? {} : { digest }),
    };
  }
  const rest = text.slice("oci:".length);
  const at = rest.lastIndexOf("@");
  const digest = at === -1 ? undefined : rest.slice(at + 1);
  if (digest !== undefined && isDigest(digest))
    return { place: layoutAt(rest.slice(0, at), text, directory), digest };
  const colon = rest.lastIndexOf(":");
  const tagged = colon > 0 && !rest.slice(colon).includes("/");
  return {
    place: layoutAt(tagged ? rest.slice(0, colon) : rest, text, directory),
    ...(tagged ? { tag: parseTag(rest.slice(colon + 1)) } : {}),
  };
}

function layoutAt(path: string, text: string, directory: string): Location {
  if (path === "")
    throw new TagferryError("REFERENCE_INVALID", `"${text}" names no directory`, {
      found: text,
      allowed: "oci:DIR[:tag]",
    });
  return { kind: "layout", directory: isAbsolute(path) ? path : resolve(directory, path) };
}
