import { type ContentReader, digestOf, type ManifestBody, parseManifest } from "../content/content.ts";

/** The problems below a manifest, byte by byte, and all its manifests. */
export type Closure = {
  readonly problems: readonly string[];
  readonly manifests: ReadonlySet<string>;
  readonly blobs: ReadonlySet<string>;
};

/** Walks everything that a manifest names: children, configs and layers, each with its size and its digest. */
export function walk(reader: ContentReader, top: string): Closure {
  const problems: string[] = [];
  const manifests = new Set<string>();
  const blobs = new Set<string>();
  const visit = (digest: string, size: number | undefined, path: string): void => {
    if (manifests.has(digest)) return;
    manifests.add(digest);
    const bytes = reader.manifest(digest)?.bytes;
    if (bytes === undefined) problems.push(`absent: manifest ${digest} (${path})`);
    else if (digestOf(bytes) !== digest || (size !== undefined && size !== bytes.length))
      problems.push(`wrong: manifest ${digest} (${path})`);
    else visitParts(parseManifest(bytes), `${path}/${digest.slice(7, 15)}`);
  };
  const visitParts = (
    { config, layers = [], manifests: children = [] }: ManifestBody,
    path: string,
  ): void => {
    for (const { digest, size } of children) visit(digest, size, path);
    for (const { digest, size } of [...(config === undefined ? [] : [config]), ...layers]) {
      if (blobs.has(digest)) continue;
      blobs.add(digest);
      const problem = problemOf(reader.blob(digest), digest, size);
      if (problem !== undefined) problems.push(`${problem}: blob ${digest} (${path})`);
    }
  };
  visit(top, undefined, "tag");
  return { problems, manifests, blobs };
}

function problemOf(bytes: Buffer | undefined, digest: string, size: number): string | undefined {
  if (bytes === undefined) return "absent";
  if (bytes.length !== size) return `wrong length ${bytes.length} of ${size}`;
  return digestOf(bytes) === digest ? undefined : "wrong";
}
