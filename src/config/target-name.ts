import { formatLocation } from "../oci/reference.ts";
import type { Target } from "./config.ts";

/**
 * A target in the format of the configuration, without a tag: `imagestream:web/nginx`, `registry/repository`,
 * `oci:DIR`.
 */
export function targetName(target: Target): string {
  return target.kind === "imagestream"
    ? `imagestream:${target.namespace}/${target.name}`
    : formatLocation(target);
}
