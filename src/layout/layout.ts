import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

import { onDisk } from "../errors/disk.ts";
import { TagferryError } from "../errors/error.ts";
import { formatRepository, parseRepository } from "../oci/reference.ts";
import { openBlobs } from "./blobs.ts";
import { ifThere, readInside } from "./files.ts";
import { openIndexFile } from "./index-writer.ts";
import { linksReader } from "./links.ts";
import { WORKSPACE } from "./lock.ts";
import { type Files, readManifest } from "./reader.ts";
import { type LayoutView, openRepositoryView } from "./view.ts";
import { LAYOUT_FILE, LAYOUT_VERSION, type LayoutTurns, NO_TURNS, openWriter } from "./writer.ts";

/**
 * An OCI image layout in a directory. One process at a time may write it. Any number of processes may read it.
 *
 * The layout itself contains the entries whose name is a bare tag (`1.27`).
 */
export type Layout = LayoutView &
  AsyncDisposable & {
    /**
     * The entries whose name is a whole reference to one repository (`docker.io/library/nginx:1.27`). All
     * repositories share blobs and manifests: by its digest, everything in the layout is found. Valid until the
     * layout is disposed.
     *
     * @throws {TagferryError} as `parseRepository`
     */
    repository(name: string): LayoutView;
  };

/**
 * Opens a layout. With `create`, the first write makes a layout of a directory that is empty or does not exist.
 *
 * Reading needs no write permission. The first write takes the lock of the layout. Disposing gives it back. Where
 * processes take `turns`, it is also given back after a time without writes.
 *
 * @throws {TagferryError} LAYOUT_INVALID, OUTPUT_PATH when there is something else already, DISK
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
 */
export async function openLayout(
  directory: string,
  { create = false, turns = NO_TURNS }: { readonly create?: boolean; readonly turns?: LayoutTurns } = {},
): Promise<Layout> {
  await judge(directory, { create });
  const index = openIndexFile(directory, { optional: create });
  await index.read();
  const blobs = openBlobs(directory);
  const name = `oci:${directory}`;
  const files: Files = { directory, name, index, blobs };
  const linksOf = linksReader((descriptor) => readManifest(files, descriptor.digest, descriptor.mediaType));
  const writer = openWriter(files, async () => linksOf(await index.read()), turns);
  const store = { files, linksOf, writer };
  return {
    ...openRepositoryView(store, undefined),
    repository: (text) => openRepositoryView(store, formatRepository(parseRepository(text))),
    [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
  };
}

/** Accepts a layout, or (with `create`) an empty place for one. Throws for everything else. */
async function judge(directory: string, { create }: { readonly create: boolean }): Promise<void> {
  const code = create ? "OUTPUT_PATH" : "LAYOUT_INVALID";
  const where = directory;
  const facts = await onDisk(directory, () => ifThere(() => stat(directory)));
  if (!facts && create) return;
  if (!facts) throw new TagferryError("LAYOUT_INVALID", `there is no directory ${directory}`, { where });
  if (!facts.isDirectory()) throw new TagferryError(code, `${directory} is not a directory`, { where });
  const bytes = await readInside(directory, join(directory, LAYOUT_FILE), { maxBytes: 4_096 });
  if (bytes !== undefined) return judgeVersion(bytes, join(directory, LAYOUT_FILE));
  const names = await onDisk(directory, () => readdir(directory));
  if (create && (await isBegun(directory, names))) return;
  throw new TagferryError(code, `${directory} is not an OCI image layout: it has no ${LAYOUT_FILE}`, {
    where,
    ...(names.includes("manifest.json")
      ? { next: "This looks like `docker save`: convert it with skopeo copy docker-archive:FILE oci:DIR." }
      : {}),
  });
}

/** An empty directory, or one that a killed run began: it has no `oci-layout` file and no blob yet. */
async function isBegun(directory: string, names: readonly string[]): Promise<boolean> {
  if (!names.every((name) => name === WORKSPACE || name === "blobs")) return false;
  if (!names.includes("blobs")) return true;
  const blobs = join(directory, "blobs");
  return onDisk(blobs, async () => (await stat(blobs)).isDirectory() && (await readdir(blobs)).length === 0);
}

function judgeVersion(bytes: Uint8Array | "large", where: string): void {
  const version = bytes === "large" ? undefined : versionIn(Buffer.from(bytes).toString("utf8"));
  if (version !== LAYOUT_VERSION)
    throw new TagferryError("LAYOUT_INVALID", `${where} has an unknown version`, {
      where,
      found: version,
      allowed: LAYOUT_VERSION,
    });
}

function versionIn(text: string): unknown {
  try {
    return (JSON.parse(text) as { readonly imageLayoutVersion?: unknown } | null)?.imageLayoutVersion;
  } catch {
    return undefined; // refused like an unknown version
  }
}
