import { type Digest, digestOf, isDigest } from "../../../src/oci/digest.ts";

export type StoredManifest = {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly digest: Digest;
};

export type StoredRepository = {
  readonly tags: Map<string, Digest>;
  readonly manifests: Map<Digest, StoredManifest>;
  readonly blobs: Set<Digest>;
  /** It had a manifest at least once. Before that, a repository does not exist. */
  known: boolean;
};

export type StoredUpload = {
  readonly id: string;
  readonly repository: string;
  /** The state that the client must send back unchanged. */
  readonly state: string;
  chunks: Uint8Array[];
  size: number;
  /** A chunk below the minimum length was received: it is the last one. */
  shortChunk: boolean;
};

/** The content of a registry, in memory. Two servers can share it, and it outlives them. */
export type RegistryStore = {
  readonly repositories: Map<string, StoredRepository>;
  /** Content by digest, shared by all repositories. */
  readonly blobs: Map<Digest, Uint8Array>;
  readonly uploads: Map<string, StoredUpload>;
};

export function createRegistryStore(): RegistryStore {
  return { repositories: new Map(), blobs: new Map(), uploads: new Map() };
}

export function openRepository(store: RegistryStore, name: string): StoredRepository {
  const known = store.repositories.get(name);
  if (known) return known;
  const made: StoredRepository = { tags: new Map(), manifests: new Map(), blobs: new Set(), known: false };
  store.repositories.set(name, made);
  return made;
}

export function storeBlob(
  store: RegistryStore,
  repository: string,
  bytes: Uint8Array,
  digest: Digest = digestOf(bytes),
): Digest {
  store.blobs.set(digest, bytes);
  openRepository(store, repository).blobs.add(digest);
  return digest;
}

export function readBlob(store: RegistryStore, repository: string, digest: Digest): Uint8Array | undefined {
  return store.repositories.get(repository)?.blobs.has(digest) ? store.blobs.get(digest) : undefined;
}

export function storeManifest(
  store: RegistryStore,
  repository: string,
  manifest: StoredManifest,
  tag?: string,
): void {
  const stored = openRepository(store, repository);
  stored.known = true;
  stored.manifests.set(manifest.digest, manifest);
  if (tag !== undefined) stored.tags.set(tag, manifest.digest);
}

/** By tag or by digest. */
export function readManifest(
  store: RegistryStore,
  repository: string,
  reference: string,
): StoredManifest | undefined {
  const stored = store.repositories.get(repository);
  const digest = isDigest(reference) ? reference : stored?.tags.get(reference);
  return digest && stored?.manifests.get(digest);
}

/** A manifest and every tag that points at it. */
export function dropManifest(store: RegistryStore, repository: string, digest: Digest): boolean {
  const stored = store.repositories.get(repository);
  if (!stored?.manifests.delete(digest)) return false;
  for (const [tag, target] of stored.tags) if (target === digest) stored.tags.delete(tag);
  return true;
}

/** What a manifest names, read leniently: a registry stores much that a client refuses. */
export type NamedContent = {
  readonly children: readonly Digest[];
  readonly blobs: readonly Digest[];
  readonly subject?: Digest;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
};

type LooseDescriptor = { digest?: unknown; mediaType?: unknown };
type LooseManifest = {
  config?: LooseDescriptor;
  layers?: LooseDescriptor[];
  blobs?: LooseDescriptor[];
  manifests?: LooseDescriptor[];
  subject?: LooseDescriptor;
  artifactType?: string;
  annotations?: Record<string, string>;
};

/** Bytes that are not a manifest name nothing. */
export function namedContent(bytes: Uint8Array): NamedContent {
  const manifest = looselyParsed(bytes);
  const subject = manifest.subject?.digest;
  const configType = manifest.config?.mediaType;
  const artifactType = manifest.artifactType ?? (typeof configType === "string" ? configType : undefined);
  return {
    children: digestsIn(manifest.manifests),
    blobs: [...digestsIn([manifest.config]), ...digestsIn(manifest.layers), ...digestsIn(manifest.blobs)],
    ...(isDigest(subject) ? { subject } : {}),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(manifest.annotations === undefined ? {} : { annotations: manifest.annotations }),
  };
}

function looselyParsed(bytes: Uint8Array): LooseManifest {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** Foreign layers are left out: they live elsewhere. */
function digestsIn(descriptors: (LooseDescriptor | undefined)[] | undefined): Digest[] {
  return (Array.isArray(descriptors) ? descriptors : [])
    .filter((descriptor) => !isForeign(descriptor?.mediaType))
    .map((descriptor) => descriptor?.digest)
    .filter(isDigest);
}

function isForeign(mediaType: unknown): boolean {
  return typeof mediaType === "string" && /nondistributable|rootfs\.foreign/.test(mediaType);
}

/** Everything below a manifest that this repository lacks, the manifest itself included. */
export function missingContent(
  store: RegistryStore,
  repository: string,
  digest: Digest,
  seen = new Set<Digest>(),
): Digest[] {
  if (seen.has(digest)) return [];
  seen.add(digest);
  const manifest = readManifest(store, repository, digest);
  if (!manifest) return [digest];
  const { children, blobs } = namedContent(manifest.bytes);
  return [
    ...blobs.filter((blob) => readBlob(store, repository, blob) === undefined),
    ...children.flatMap((child) => missingContent(store, repository, child, seen)),
  ];
}

/**
 * Deletes what no tag reaches, as a registry's garbage collector does. Referrers stay with their subject.
 * `untagged: "keep"` keeps manifests that only a digest names (docker-registry without `-m`).
 */
export function collectGarbage(
  store: RegistryStore,
  { untagged = "drop" }: { readonly untagged?: "drop" | "keep" } = {},
): void {
  const inUse = new Set<Digest>();
  for (const stored of store.repositories.values()) {
    const reached = new Set<Digest>();
    const roots = untagged === "keep" ? stored.manifests.keys() : stored.tags.values();
    for (const root of roots) reach(stored, root, reached);
    for (const [digest, { bytes }] of stored.manifests) {
      const { subject } = namedContent(bytes);
      if (subject && reached.has(subject)) reach(stored, digest, reached);
    }
    for (const digest of stored.manifests.keys()) if (!reached.has(digest)) stored.manifests.delete(digest);
    for (const digest of stored.blobs) {
      if (reached.has(digest)) inUse.add(digest);
      else stored.blobs.delete(digest);
    }
  }
  for (const digest of store.blobs.keys()) if (!inUse.has(digest)) store.blobs.delete(digest);
}

function reach(stored: StoredRepository, digest: Digest, reached: Set<Digest>): void {
  if (reached.has(digest)) return;
  reached.add(digest);
  const manifest = stored.manifests.get(digest);
  if (!manifest) return;
  const { children, blobs } = namedContent(manifest.bytes);
  for (const blob of blobs) reached.add(blob);
  for (const child of children) reach(stored, child, reached);
}
