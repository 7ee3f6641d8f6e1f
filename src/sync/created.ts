import type { Cancellable } from "../lib/cancel.ts";
import type { ImageSource } from "../oci/store.ts";
import { verified } from "../oci/verified.ts";

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
  if (!manifest.config || manifest.config.size > CONFIG_MAX_BYTES) return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of verified(source.blob(manifest.config, options), manifest.config))
    chunks.push(Buffer.from(chunk));
  return createdIn(Buffer.concat(chunks).toString("utf8"));
}

/** Configs are small. A larger blob is not an image config. */
const CONFIG_MAX_BYTES = 4 * 1024 * 1024;

/** @see https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md (created) */
function createdIn(text: string): string | undefined {
  try {
    const created: unknown = (JSON.parse(text) as { readonly created?: unknown } | null)?.created;
    return typeof created === "string" && !Number.isNaN(Date.parse(created))
      ? new Date(created).toISOString()
      : undefined;
  } catch {
    return undefined; // the config of an artifact need not be JSON: it has no date
  }
}
