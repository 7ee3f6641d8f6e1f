import type { Mirror } from "../../config/config.ts";
import { targetName } from "../../config/target-name.ts";
import { formatLocation } from "../../oci/reference.ts";

/** The first line of a mirror in plans and reports: name, source and target. */
export function mirrorLine({ name, source, target, storage }: Mirror): string {
  const by =
    storage.kind === "repository"
      ? `, stored in ${storage.registry}/${storage.repository}`
      : storage.kind === "source"
        ? ", imported from the source"
        : "";
  return `${name}  ${formatLocation(source)} → ${targetName(target)}${by}`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
