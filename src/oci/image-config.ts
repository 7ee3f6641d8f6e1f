import type { Cancellable } from "../lib/cancel.ts";
import type { Manifest } from "./manifest.ts";
import type { ImageSource } from "./store.ts";
import { verified } from "./verified.ts";

/** Image configs are small. A larger blob is not an image config and is not read. */
const CONFIG_MAX_BYTES = 4 * 1024 * 1024;

/**
 * The fields of an image's config. Its bytes are verified; the types of the fields are not checked. `{}` when the
 * manifest has no config, when the config is larger than 4 MiB, or when it is not a JSON object. (The config of an
 * artifact may be anything.)
 *
 * @throws {TagferryError} the errors of reading the blob, BLOB_SHORT, BLOB_LONG, DIGEST_MISMATCH
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
 */
export async function readImageConfig(
  { config }: Pick<Manifest, "config">,
  source: Pick<ImageSource, "blob">,
  options: Cancellable = {},
): Promise<Readonly<Record<string, unknown>>> {
  if (!config || config.size > CONFIG_MAX_BYTES) return {};
  const chunks: Buffer[] = [];
  for await (const chunk of verified(source.blob(config, options), config)) chunks.push(Buffer.from(chunk));
  return fieldsIn(Buffer.concat(chunks).toString("utf8"));
}

function fieldsIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === "object" && json !== null && !Array.isArray(json)
      ? (json as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}
