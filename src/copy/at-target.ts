import { isTagferryError, TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import type { Digest } from "../oci/digest.ts";
import type { ImageTarget } from "../oci/store.ts";

/**
 * Whether the target has a manifest.
 *
 * @throws {TagferryError} TARGET_NOT_A_REGISTRY when a portal or a catch-all answers in its place
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
    throw new TagferryError("TARGET_NOT_A_REGISTRY", `${target.name}: what answers is no registry`, {
      ...error.details,
      cause: error,
    });
  }
}
