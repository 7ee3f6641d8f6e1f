import type { Digest } from "../../../src/oci/digest.ts";
import type { RegistryContext } from "./handler.ts";

/** A path as this registry writes it in a Location. */
export function locationOf({ behaviour: { location }, url }: RegistryContext, path: string): string {
  if (typeof location === "function") return location(path);
  return location === "absolute" ? `${url()}${path}` : path;
}

/** Records a write that the next reads miss, if the registry is eventually consistent. */
export function freshly({ behaviour, stale }: RegistryContext, repository: string, reference: string): void {
  if (behaviour.staleReads > 0) stale.set(`${repository}@${reference}`, behaviour.staleReads);
}

/** Whether this read still misses what was written; counts it. */
export function isStale({ stale }: RegistryContext, repository: string, reference: string): boolean {
  const key = `${repository}@${reference}`;
  const left = stale.get(key) ?? 0;
  if (left > 1) stale.set(key, left - 1);
  else stale.delete(key);
  return left > 0;
}

/** Whether an If-None-Match names this content. */
export function matchesTag(header: string | undefined, digest: Digest): boolean {
  return header === digest || header === `"${digest}"`;
}
