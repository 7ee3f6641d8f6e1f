import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type Descriptor, descriptorOf, OCI_INDEX, parseManifest } from "../content/content.ts";
import type { Repository } from "../registry/repository.ts";

const REF_NAME = "org.opencontainers.image.ref.name";

export function blobPath(directory: string, digest: string): string {
  return join(directory, "blobs", ...digest.split(":"));
}

/**
 * Writes what a repository holds as a layout: blobs first, then index.json by a rename. `whole` also writes what
 * exists already.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
 */
export function writeLayout(
  directory: string,
  repo: Repository,
  { whole = false }: { readonly whole?: boolean } = {},
): void {
  if (whole) rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(directory, "blobs", "sha256"), { recursive: true });
  const files = [
    ...repo.blobs,
    ...[...repo.manifests].map(([digest, { bytes }]) => [digest, bytes] as const),
  ];
  for (const [digest, bytes] of files) {
    const path = blobPath(directory, digest);
    if (!existsSync(path)) writeAtOnce(path, bytes);
  }
  const body = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: entriesOf(repo) };
  writeAtOnce(join(directory, "oci-layout"), `{"imageLayoutVersion":"1.0.0"}`);
  writeAtOnce(join(directory, "index.json"), JSON.stringify(body));
}

function writeAtOnce(path: string, bytes: Buffer | string): void {
  writeFileSync(`${path}.tmp`, bytes);
  renameSync(`${path}.tmp`, path);
}

/** Tags by their name; referrers without one, as oras writes them. */
function entriesOf(repo: Repository): Descriptor[] {
  const tagged = [...repo.tags].flatMap(([tag, digest]) => {
    const manifest = repo.manifest(digest);
    return manifest === undefined ? [] : [{ ...descriptorOf(manifest), annotations: { [REF_NAME]: tag } }];
  });
  const untagged = [...repo.manifests.values()].flatMap((manifest) => {
    const { subject, artifactType } = parseManifest(manifest.bytes);
    if (subject === undefined) return [];
    return [{ ...descriptorOf(manifest), ...(artifactType === undefined ? {} : { artifactType }) }];
  });
  return [...tagged, ...untagged];
}
