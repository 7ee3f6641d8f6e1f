import { TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { readImageConfig } from "../oci/image-config.ts";
import { attestedDigest, type Manifest } from "../oci/manifest.ts";
import { isIndexType, OCI_CONFIG } from "../oci/media-type.ts";
import { formatPlatform, matchesPlatform, type Platform } from "../oci/platform.ts";
import type { ImageSource } from "../oci/store.ts";

/** The entries of an index that a choice of platforms selects. */
export type Choice = {
  readonly chosen: readonly Descriptor[];
  /** Nested indexes without a platform. The choice applies to their entries. */
  readonly open: readonly Descriptor[];
};

/** The entries of the wanted platforms, and the attestations that belong to them. */
export function choosePlatforms({ children }: Manifest, wanted: readonly Platform[]): Choice {
  const matching = new Set<Digest>(
    children
      .filter(({ platform }) => platform && wanted.some((one) => matchesPlatform(one, platform)))
      .map(({ digest }) => digest),
  );
  const chosen = children.filter((child) => {
    const attested = attestedDigest(child);
    return matching.has(attested ?? child.digest);
  });
  const open = children.filter(
    (child) => child.platform === undefined && isIndexType(child.mediaType) && !chosen.includes(child),
  );
  return { chosen, open };
}

/** The platforms of an index, for messages. */
export function platformsOf({ children }: Pick<Manifest, "children">): string[] {
  return children.flatMap((child) =>
    child.platform && attestedDigest(child) === undefined ? [formatPlatform(child.platform)] : [],
  );
}

const CONFIG_TYPES = new Set([OCI_CONFIG, "application/vnd.docker.container.image.v1+json"]);

/** The platform of a single image, from its config; undefined when this is not a runnable image or has no platform. */
export async function configPlatform(
  manifest: Manifest,
  source: ImageSource,
  options: Cancellable = {},
): Promise<Platform | undefined> {
  if (!CONFIG_TYPES.has(manifest.config?.mediaType ?? "")) return undefined;
  const { os, architecture, variant } = await readImageConfig(manifest, source, options);
  if (typeof os !== "string" || typeof architecture !== "string" || os === "" || architecture === "")
    return undefined;
  return { os, architecture, ...(typeof variant === "string" && variant !== "" ? { variant } : {}) };
}

export function platformAbsent(
  subject: string,
  wanted: readonly Platform[],
  found: readonly string[],
): TagferryError {
  const names = wanted.map(formatPlatform).join(", ");
  return new TagferryError("PLATFORM_ABSENT", `${subject} has no image for ${names}`, {
    found: [...new Set(found)].join(", ") || "no platform",
    allowed: names,
  });
}
