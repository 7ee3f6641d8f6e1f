import type { Mirror } from "../config/config.ts";
import { TagferryError } from "../errors/error.ts";
import { formatLocation, type Location } from "../oci/reference.ts";
import type { TagSource } from "../plan/action.ts";

/** Every location that a mirror reads tags from. */
export function sourcesOf({ source }: Mirror): readonly Location[] {
  return [source];
}

/**
 * The location that a tag comes from. It must be in the configuration, whatever a plan or a job says.
 *
 * @throws {TagferryError} JOB_INVALID
 */
export function locationOf(mirror: Mirror, { source, tag }: TagSource): Location {
  const found = sourcesOf(mirror).find((location) => formatLocation(location) === source);
  if (found) return found;
  throw new TagferryError("JOB_INVALID", `${source}:${tag} is not a source of mirror ${mirror.name}`, {
    where: mirror.name,
    found: source,
    allowed: sourcesOf(mirror).map(formatLocation).join(", "),
  });
}
