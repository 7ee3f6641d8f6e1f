import { isDeepStrictEqual } from "node:util";

import type { FieldTree, ImageStream, ManagedFields } from "./objects.ts";

/** Who wrote which field: `kubectl-edit`, `argocd-controller`. Written by plain writes of streams only. */
export type FieldOwners = Map<string, { readonly manager: string; readonly time: string }>;

const SEPARATOR = "\u0000";

/**
 * Gives every field that is new or other than before to the writer, and forgets those that are gone. Without a writer
 * (the server itself, for an import or a push) owners stay as they are.
 */
export function own(
  owners: FieldOwners,
  old: ImageStream | undefined,
  stream: ImageStream,
  writer: { readonly manager: string; readonly time: string } | undefined,
): FieldOwners {
  const before = old ? leaves(old) : new Map<string, unknown>();
  const owned: FieldOwners = new Map();
  for (const [path, value] of leaves(stream)) {
    const previous = owners.get(path);
    const same = before.has(path) && isDeepStrictEqual(before.get(path), value);
    if (!same && writer) owned.set(path, writer);
    else if (previous) owned.set(path, previous);
  }
  return owned;
}

function leaves({ metadata, spec }: ImageStream): Map<string, unknown> {
  const found = new Map<string, unknown>();
  const add = (value: unknown, ...path: string[]): Map<string, unknown> =>
    found.set(path.join(SEPARATOR), value);
  for (const [key, value] of Object.entries(metadata.annotations ?? {}))
    add(value, "f:metadata", "f:annotations", `f:${key}`);
  for (const [key, value] of Object.entries(metadata.labels ?? {}))
    add(value, "f:metadata", "f:labels", `f:${key}`);
  for (const tag of spec.tags ?? []) {
    const item = `k:${JSON.stringify({ name: tag.name })}`;
    add(true, "f:spec", "f:tags", item, ".");
    for (const [key, value] of Object.entries(tag)) add(value, "f:spec", "f:tags", item, `f:${key}`);
  }
  return found;
}

export function managedFields(owners: FieldOwners): ManagedFields[] {
  const managers = new Map<string, ManagedFields>();
  for (const [path, { manager, time }] of owners) {
    const entry = managers.get(manager) ?? {
      manager,
      operation: "Update",
      apiVersion: "image.openshift.io/v1",
      time,
      fieldsType: "FieldsV1",
      fieldsV1: {},
    };
    managers.set(manager, entry);
    if (time > entry.time) entry.time = time;
    let tree: FieldTree = entry.fieldsV1;
    for (const key of path.split(SEPARATOR)) {
      tree[key] ??= {};
      tree = tree[key];
    }
  }
  return [...managers.values()];
}
