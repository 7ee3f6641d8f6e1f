import { isAbsolute, resolve } from "node:path";

import { requireRegistry } from "../config/target.ts";
import { TagferryError } from "../errors/error.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import { parseReference, parseTag, type Location } from "../oci/reference.ts";
import type { Process } from "./process.ts";

/** An image of the command line: its location, and a tag or a digest. */
export type ImageArgument = { readonly location: Location; readonly tag?: string; readonly digest?: Digest };

type Surroundings = Pick<Process, "directory" | "stderr">;

const DOCKER_SCHEME = "docker://";

/**
 * Reads `registry/repository[:tag][@digest]` or `oci:DIR[:tag]` (or `oci:DIR@digest`). skopeo's `docker://` is
 * removed, with a hint.
 *
 * The path of a directory may contain colons: the part after the last colon is a tag only when it contains no slash.
 *
 * @throws {TagferryError} USAGE, REFERENCE_INVALID and what parseReference throws
 */
export function parseImageArgument(given: string, { directory, stderr }: Surroundings): ImageArgument {
  if (given.startsWith(DOCKER_SCHEME)) {
    stderr.write(`hint: ${DOCKER_SCHEME} is not needed: ${given.slice(DOCKER_SCHEME.length)}\n`);
    return parseImageArgument(given.slice(DOCKER_SCHEME.length), { directory, stderr });
  }
  if (given.startsWith("imagestream:")) throw streamArgument(given);
  if (!given.startsWith("oci:")) {
    const { tag, digest, registry, repository } = parseReference(given);
    return {
      location: { kind: "registry", registry, repository },
      ...(tag === undefined ? {} : { tag }),
      ...(digest === undefined ? {} : { digest }),
    };
  }
  return layoutArgument(given, directory);
}

/** As parseImageArgument, but the registry must be named. */
export function parseTargetArgument(given: string, surroundings: Surroundings): ImageArgument {
  const image = parseImageArgument(given, surroundings);
  if (image.location.kind === "registry")
    requireRegistry(given.startsWith(DOCKER_SCHEME) ? given.slice(DOCKER_SCHEME.length) : given, {
      stream: false,
    });
  return image;
}

function layoutArgument(text: string, directory: string): ImageArgument {
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

/** A stream has an owner per tag, so only a mirror may write it. */
function streamArgument(text: string): TagferryError {
  const stream = text.slice("imagestream:".length).split(/[:@]/, 1)[0] ?? "";
  return new TagferryError("USAGE", `${text} is an image stream, and this command works with registries`, {
    found: text,
    allowed: "registry/repository:tag, or oci:DIR:tag",
    next: `Write a mirror with \`target: imagestream:${stream}\` and run \`tagferry sync\`, or name the repository of the cluster's registry: HOST/${stream}.`,
  });
}

function layoutAt(path: string, text: string, directory: string): Location {
  if (path === "")
    throw new TagferryError("REFERENCE_INVALID", `"${text}" has no directory`, {
      found: text,
      allowed: "oci:DIR[:tag]",
    });
  return { kind: "layout", directory: isAbsolute(path) ? path : resolve(directory, path) };
}
