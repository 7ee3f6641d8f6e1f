import type { Cancellable } from "../lib/cancel.ts";
import type { Descriptor } from "./descriptor.ts";
import type { Digest } from "./digest.ts";
import type { Manifest } from "./manifest.ts";

/**
 * Bytes of a blob. A chunk is valid until the next one is requested, because its memory is reused. A caller that
 * keeps a chunk must copy it.
 */
export type Content = AsyncIterable<Uint8Array>;

/** Opens the content of a blob after its first `fromBytes` bytes; 0: all of it. */
export type OpenContent = (fromBytes: number) => Content;

/** `fromBytes`: how many bytes at the beginning are skipped. */
export type ReadBlobOptions = Cancellable & { readonly fromBytes?: number };

/** Where images are read: one repository of a registry, or one OCI image layout. */
export interface ImageSource {
  /** For messages: `registry/repository` or `oci:DIR`. */
  readonly name: string;

  /**
   * What a tag or digest points to, by the cheapest call (HEAD); undefined when it does not exist. `size` is -1 when
   * the answer has no length.
   *
   * @throws {TagferryError} AUTH_*, DENIED, NAME_UNKNOWN, REGISTRY_*, RATE_LIMITED
   */
  resolve(reference: string, options?: Cancellable): Promise<Descriptor | undefined>;

  /**
   * A manifest by digest, verified, or by tag.
   *
   * @throws {TagferryError} MANIFEST_UNKNOWN and what `parseManifest` throws
   */
  manifest(reference: string, options?: Cancellable): Promise<Manifest>;

  /**
   * The bytes of a blob. After a broken connection, reading resumes. The bytes are not verified: see `verified()`.
   *
   * @throws {TagferryError} BLOB_UNKNOWN, CONTENT_ENCODING, RANGE, STALLED, …
   */
  blob(descriptor: Descriptor, options?: ReadBlobOptions): Content;

  /**
   * Manifests whose subject is `digest`: from the referrers API, else from the fallback tag; cosign's tags too
   * (`sha256-HEX.sig`, `.att`, `.sbom`).
   */
  referrers(digest: Digest, options?: ReferrersOptions): AsyncIterable<Referrer>;

  /**
   * Every tag once, in the order of the source, with what the cheapest call of this registry returns beside its name.
   * An empty repository yields nothing.
   *
   * @throws {TagferryError} NAME_UNKNOWN, TAGS_INVALID, TAGS_LIMIT, LINK_FOREIGN, …; then a missing tag proves
   *   nothing
   */
  listing(options?: Cancellable): AsyncIterable<ListedTag>;
}

/**
 * `occasion` names the check that found the image. A listing that the source remembers is used only if it was read
 * for the same occasion, so it is newer than that check. Without an occasion, a listing of the last minute is used.
 */
export type ReferrersOptions = Cancellable & {
  readonly occasion?: string | undefined;
  /**
   * What a damaged manifest of a layout means, which may be a referrer. `error` (default): the question fails, because
   * a source may not lose a signature. `absent`: it is not there; a target gets it again.
   */
  readonly damaged?: "error" | "absent";
};

/** A tag in a listing. `image` and `pushedAt` (ISO date) only where the registry's listing carries them. */
export type ListedTag = { readonly tag: string; readonly image?: Descriptor; readonly pushedAt?: string };

/**
 * A manifest that refers to an image. `tag` is set when clients find it by a tag of its own (cosign). Then it must be
 * written under that tag too.
 */
export type Referrer = { readonly descriptor: Descriptor; readonly tag?: string };

/** How a blob came to the target. `bytes`: how many were sent. */
export type BlobPushed = { readonly how: "pushed" | "mounted" | "present"; readonly bytes: number };

/** Where images are written. Idempotent: pushing existing content again does no harm and costs little. */
export interface ImageTarget {
  readonly name: string;
  /** The host of the registry, or the layout. Blobs are shared within it; leases and mounts are per `blobStore`. */
  readonly blobStore: string;
  readonly capabilities: TargetCapabilities;

  /** What a tag or digest points to here; undefined when it does not exist. */
  resolve(reference: string, options?: Cancellable): Promise<Descriptor | undefined>;

  /** What each of these tags points to here. Tags that do not exist are left out. */
  resolveTags(tags: readonly string[], options?: Cancellable): Promise<ReadonlyMap<string, Descriptor>>;

  /** A manifest that is here, verified. @throws {TagferryError} MANIFEST_UNKNOWN */
  manifest(reference: string, options?: Cancellable): Promise<Manifest>;

  /**
   * Pushes a blob: finds it here, mounts it from a repository of the same registry that has it, or uploads the
   * content of `open`. When an upload breaks, `open` is called again, from 0 or from where the upload resumes. The
   * target verifies the bytes before the last request of the upload.
   */
  pushBlob(descriptor: Descriptor, open: OpenContent, options?: PushBlobOptions): Promise<BlobPushed>;

  /**
   * Writes the bytes of a manifest, under `tag`, or without one under its digest. Everything it names must be in
   * place. When the registry does not list a referrer with its subject, the fallback tag is written too.
   *
   * @throws {TagferryError} TARGET_*; TARGET_BLOB_UNKNOWN when the registry lacks something that the manifest names
   */
  pushManifest(manifest: Manifest, options?: PushManifestOptions): Promise<void>;

  /** The referrers of a manifest here. As `ImageSource.referrers`. */
  referrers(digest: Digest, options?: ReferrersOptions): AsyncIterable<Referrer>;

  /**
   * Whether a blob with the length of its descriptor is here, by the cheapest request that this target answers
   * truthfully. This proves content that was found in place, so nothing that was learned before is used.
   */
  hasBlob(descriptor: Descriptor, options?: HasBlobOptions): Promise<boolean>;

  /** Forgets what is known about these blobs, so that the next `pushBlob` asks again. Used for healing. */
  forget(digests: Iterable<Digest>): void;
}

export type PushBlobOptions = Cancellable & {
  /** Sends the blob although it seems to be there, because it was found to be missing, too short or altered. */
  readonly again?: boolean | undefined;
  /** Called while bytes are sent. When an upload sends bytes again, it is first called with a negative number. */
  readonly onBytes?: (bytes: number) => void;
  /** The name of a repository that has the blob. If it is in the same registry, the blob is mounted from it. */
  readonly mountFrom?: string | undefined;
};

/** `bytes`: the blob is read and hashed. */
export type HasBlobOptions = Cancellable & { readonly bytes?: boolean };

export type PushManifestOptions = Cancellable & { readonly tag?: string };

export type TargetCapabilities = {
  /** Whether the target accepts an index whose children are missing. */
  readonly sparseIndex: boolean;
  /** Whether a child that was pushed by digest is visible before its index has a tag (not in OpenShift's registry). */
  readonly childrenVisible: boolean;
  /** `tags`: only signatures with cosign tags can be stored, no other referrers (OpenShift's registry). */
  readonly referrers: "all" | "tags";
  /** Every entry of an index must name a platform (image streams). */
  readonly indexNeedsPlatforms: boolean;
  /** Whether a manifest that is present proves that everything it names is present (not behind pull-through). */
  readonly manifestImpliesContent: boolean;
};
