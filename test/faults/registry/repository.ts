import {
  type Content,
  type ContentReader,
  type Descriptor,
  descriptorOf,
  fallbackTag,
  OCI_INDEX,
  parseManifest,
  type StoredManifest,
} from "../content/content.ts";

export type TagChange = {
  /** Milliseconds of the scenario's clock. */
  readonly at: number;
  readonly tag: string;
  /** Absent: the tag was removed. */
  readonly digest?: string;
  readonly before?: string;
};

/** The content of one repository, and every move of its tags. Used for registries and for source layouts. */
export type Repository = ContentReader & {
  readonly blobs: Map<string, Buffer>;
  readonly manifests: Map<string, StoredManifest>;
  readonly tags: Map<string, string>;
  readonly history: TagChange[];
  readonly deletions: string[];
  /** Stores content without a tag. */
  add(content: Content): void;
  setTag(tag: string, digest: string): void;
  removeTag(tag: string): void;
  /** The manifests here whose subject is `digest`. */
  referrers(digest: string): Descriptor[];
};

/** `onMove` is called after each move of a tag. */
export function repository(
  now: () => number,
  onMove: (change: TagChange) => void = () => undefined,
): Repository {
  const blobs = new Map<string, Buffer>();
  const manifests = new Map<string, StoredManifest>();
  const tags = new Map<string, string>();
  const history: TagChange[] = [];
  const move = (tag: string, digest?: string): void => {
    const before = tags.get(tag);
    if (digest === undefined) tags.delete(tag);
    else tags.set(tag, digest);
    const change = {
      at: now(),
      tag,
      ...(digest === undefined ? {} : { digest }),
      ...(before === undefined ? {} : { before }),
    };
    history.push(change);
    onMove(change);
  };
  return {
    blobs,
    manifests,
    tags,
    history,
    deletions: [],
    manifest: (digest) => manifests.get(digest),
    blob: (digest) => blobs.get(digest),
    add: (content) => {
      for (const { digest, bytes } of content.blobs) blobs.set(digest, bytes);
      for (const { digest, manifest } of content.manifests) manifests.set(digest, manifest);
    },
    setTag: (tag, digest) => {
      if (tags.get(tag) !== digest) move(tag, digest);
    },
    removeTag: (tag) => move(tag),
    referrers: (digest) =>
      [...manifests.values()].filter(({ bytes }) => subjectOf(bytes) === digest).map(asReferrer),
  };
}

export function subjectOf(bytes: Buffer): string | undefined {
  try {
    return parseManifest(bytes).subject?.digest;
  } catch {
    return undefined;
  }
}

/** A descriptor as the referrers API lists it. */
export function asReferrer(manifest: StoredManifest): Descriptor {
  const { artifactType, config, annotations } = parseManifest(manifest.bytes);
  const type = artifactType ?? config?.mediaType;
  return {
    ...descriptorOf(manifest),
    ...(type === undefined ? {} : { artifactType: type }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

/**
 * Adds a referrer like a client without the referrers API: an index under the subject's fallback tag.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
 */
export function addFallbackReferrer(repo: Repository, subject: string, referrer: Content): void {
  repo.add(referrer);
  const tag = fallbackTag(subject);
  const known = repo.manifest(repo.tags.get(tag) ?? "");
  const listed = known === undefined ? [] : (parseManifest(known.bytes).manifests ?? []);
  const top = repo.manifest(referrer.top.digest);
  if (top === undefined) return;
  const body = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [...listed, asReferrer(top)] };
  const manifest = { mediaType: OCI_INDEX, bytes: Buffer.from(JSON.stringify(body)) };
  const { digest } = descriptorOf(manifest);
  repo.manifests.set(digest, manifest);
  repo.setTag(tag, digest);
}
