import { readFileSync } from "node:fs";
import { join } from "node:path";

import {
  type ContentReader,
  type Descriptor,
  type ManifestBody,
  OCI_INDEX,
  OCI_MANIFEST,
  parseManifest,
} from "../content/content.ts";
import { blobPath } from "./write.ts";

const REF_NAME = "org.opencontainers.image.ref.name";

export type LayoutView = ContentReader & {
  readonly tags: ReadonlyMap<string, string>;
  /** Tags that index.json names more than once. */
  readonly doubled: readonly string[];
  /** Every entry of index.json. */
  readonly entries: readonly Descriptor[];
  /** Manifests that index.json lists and whose subject is `digest`. */
  referrers(digest: string): string[];
};

/** Reads a layout as any OCI tool does. Throws when it is broken. */
export function readLayout(directory: string): LayoutView {
  const { manifests = [] } = JSON.parse(readFileSync(join(directory, "index.json"), "utf8")) as ManifestBody;
  const tags = new Map<string, string>();
  const doubled: string[] = [];
  for (const { digest, annotations } of manifests) {
    const name = annotations?.[REF_NAME];
    if (name === undefined) continue;
    const tag = name.includes(":") ? name.slice(name.lastIndexOf(":") + 1) : name;
    if (tags.has(tag)) doubled.push(tag);
    tags.set(tag, digest);
  }
  const read = (digest: string): Buffer | undefined => {
    try {
      return readFileSync(blobPath(directory, digest));
    } catch {
      return undefined;
    }
  };
  return {
    tags,
    doubled,
    entries: manifests,
    blob: read,
    manifest: (digest) => {
      const bytes = read(digest);
      return bytes === undefined ? undefined : { mediaType: mediaTypeOf(bytes), bytes };
    },
    referrers: (digest) =>
      manifests.filter((entry) => subjectOf(read(entry.digest)) === digest).map((entry) => entry.digest),
  };
}

function mediaTypeOf(bytes: Buffer): string {
  try {
    const { mediaType, manifests } = parseManifest(bytes);
    return mediaType ?? (manifests === undefined ? OCI_MANIFEST : OCI_INDEX);
  } catch {
    return "";
  }
}

function subjectOf(bytes: Buffer | undefined): string | undefined {
  try {
    return bytes === undefined ? undefined : parseManifest(bytes).subject?.digest;
  } catch {
    return undefined;
  }
}
