import { isTagferryError, TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import type { Digest } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import type { ImageTarget } from "../oci/store.ts";

/**
 * Whether the target has a manifest.
 *
 * @throws {TagferryError} TARGET_NOT_A_REGISTRY when a web page answers instead of a registry
 */
export async function isAtTarget(
  digest: Digest,
  target: ImageTarget,
  options: Cancellable = {},
): Promise<boolean> {
  try {
    return (await target.resolve(digest, options)) !== undefined;
  } catch (error) {
    if (!isTagferryError(error, "REGISTRY_NOT_V2")) throw error;
    throw new TagferryError("TARGET_NOT_A_REGISTRY", `${target.name}: the host is not a registry`, {
      ...error.details,
      cause: error,
    });
  }
}

/** Reads a manifest from the target; undefined when it is not there, or its bytes do not match its digest. */
export async function readAtTarget(
  digest: Digest,
  target: ImageTarget,
  options: Cancellable = {},
): Promise<Manifest | undefined> {
  try {
    return await target.manifest(digest, options);
  } catch (error) {
    if (isTagferryError(error) && ALTERED.test(error.code)) return undefined;
    throw error;
  }
}

/** Codes of a manifest that is not there, or does not match its digest. */
const ALTERED = /^(?:MANIFEST_|NAME_UNKNOWN|DIGEST_|DESCRIPTOR_|MEDIA_TYPE|BLOB_|LAYOUT_INVALID)/;
