import type { Cancellable } from "../lib/cancel.ts";
import { readImageConfig } from "../oci/image-config.ts";
import type { ImageSource } from "../oci/store.ts";

/**
 * The time at which an image was created (ISO), from its config. undefined when the config has no readable date. For an
 * index, its first child decides.
 */
export async function createdAt(
  reference: string,
  source: ImageSource,
  options: Cancellable,
  depth = 0,
): Promise<string | undefined> {
  const manifest = await source.manifest(reference, options);
  const [child] = manifest.children.filter(({ platform }) => platform?.os !== "unknown");
  if (child && depth < 8) return createdAt(child.digest, source, options, depth + 1);
  const { created } = await readImageConfig(manifest, source, options);
  return typeof created === "string" && !Number.isNaN(Date.parse(created))
    ? new Date(created).toISOString()
    : undefined;
}
