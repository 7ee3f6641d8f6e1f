import type { Cancellable } from "../lib/cancel.ts";
import type { Descriptor } from "./descriptor.ts";
import type { Digest } from "./digest.ts";
import type { Manifest } from "./manifest.ts";

/**
 * Bytes of a blob. A chunk is valid until the next one is asked for (its memory is used again); who keeps one copies it.
 */
export type Content = AsyncIterable<Uint8Array>;

/** Opens a blob's content: all of it (0), or what follows its first `fromBytes`. */
export type OpenContent = (fromBytes: number) => Content;

/** `fromBytes`: without so many bytes of the beginning, which somebody has already. */
export type ReadBlobOptions = Cancellable & { readonly fromBytes?: number };

/** Where images are read: one repository of a registry, or one OCI image layout. */
export interface ImageSource {
  /** For messages: `registry/repository` or `oci:DIR`. */
  readonly name: string;

  /**
   * What a tag (or digest) points at, by the cheapest call there is (HEAD); undefined when there is no such tag.
   * `size` is -1 where the answer did not tell.
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
   * A blob's bytes, resumed where the connection broke. Not yet verified: `verified()` is for that.
   *
   * @throws {TagferryError} BLOB_UNKNOWN, CONTENT_ENCODING, RANGE, STALLED, …
   */
  blob(descriptor: Descriptor, options?: ReadBlobOptions): Content;

  /**
   * Manifests whose subject is `digest`: from the referrers API, else from the fallback tag; cosign's tags too
   * (`sha256-HEX.sig`, `.att`, `.sbom`) where `tags` names them or they are found by asking.
   */
  referrers(digest: Digest, options?: ReferrersOptions): AsyncIterable<Referrer>;

  /**
   * Every tag, each once, in the source's order, with what the cheapest call of this registry tells beside its name.
   * An empty repository yields nothing.
   *
   * @throws {TagferryError} NAME_UNKNOWN, TAGS_INVALID, TAGS_LIMIT, LINK_FOREIGN, … and then nothing may be concluded from absence
   */
  listing(options?: Cancellable): AsyncIterable<ListedTag>;
}

/**
 * `occasion` names the check that found the image. A listing that the source remembers is used only if it was read for the same
 * occasion, so it is newer than that check. Without an occasion, a listing of the last minute is used.
 */
export type ReferrersOptions = Cancellable & { readonly occasion?: string | undefined };

/** A tag in a listing. `image` and `pushedAt` (ISO date) only where the registry's listing carries them. */
export type ListedTag = { readonly tag: string; readonly image?: Descriptor; readonly pushedAt?: string };

/**
 * What refers to an image. `tag` is set when the referrer is reached by a tag of its own (cosign's scheme), and then has
 * to be written under that tag as well.
 */
export type Referrer = { readonly descriptor: Descriptor; readonly tag?: string };

/** How a blob came to be in the target. `bytes` went over the wire to it. */
export type BlobPushed = { readonly how: "pushed" | "mounted" | "present"; readonly bytes: number };

/** Where images are written. Idempotent: pushing what is there is harmless and cheap. */
export interface ImageTarget {
  readonly name: string;
  /** Blobs are shared within this: the registry's host, or the layout. Leases and mounts are per `blobStore`. */
  readonly blobStore: string;
  readonly capabilities: TargetCapabilities;

  /** What a tag or digest points at here; undefined when nothing. */
  resolve(reference: string, options?: Cancellable): Promise<Descriptor | undefined>;

  /** What each of these tags points at here; those that are not here are missing. */
  resolveTags(tags: readonly string[], options?: Cancellable): Promise<ReadonlyMap<string, Descriptor>>;

  /** A manifest that is here, verified. @throws {TagferryError} MANIFEST_UNKNOWN */
  manifest(reference: string, options?: Cancellable): Promise<Manifest>;

  /**
   * Puts a blob in place: finds it here, mounts it from a repository of the same registry that is known to have it, or
   * uploads what `open` gives. `open` may be called again when an upload breaks, from 0 or from where it goes on; its bytes are
   * `verified()` by the target before the closing request, whatever the caller did.
   */
  pushBlob(descriptor: Descriptor, open: OpenContent, options?: PushBlobOptions): Promise<BlobPushed>;

  /**
   * Writes a manifest verbatim, under `tag` or (without) under its digest. Everything it names is in place before.
   * A subject is registered with the fallback tag where the registry does not do it itself.
   *
   * @throws {TagferryError} TARGET_* ; TARGET_BLOB_UNKNOWN when the registry misses something the manifest names
   */
  pushManifest(manifest: Manifest, options?: PushManifestOptions): Promise<void>;

  /** What refers to a manifest here. As `ImageSource.referrers`. */
  referrers(digest: Digest, options?: Cancellable): AsyncIterable<Referrer>;

  /**
   * Whether a blob is here, by the cheapest question that this target answers truthfully, with the length of its descriptor.
   * For proving an image that was found in place: nothing that was learned before counts.
   */
  hasBlob(descriptor: Descriptor, options?: HasBlobOptions): Promise<boolean>;

  /** Forgets what it believes to be in place, so that the next `pushBlob` looks again. For self-healing. */
  forget(digests: Iterable<Digest>): void;
}

export type PushBlobOptions = Cancellable & {
  /** Sends it even though it seems to be there: it was found to be missing, cut off or altered. */
  readonly again?: boolean | undefined;
  /** Told while bytes go out; an upload that has to send some again tells a negative number first. */
  readonly onBytes?: (bytes: number) => void;
  /** The name of a repository that has the blob. It is mounted from there when that is in the same registry. */
  readonly mountFrom?: string | undefined;
};

/** `bytes`: reads the blob and hashes it. */
export type HasBlobOptions = Cancellable & { readonly bytes?: boolean };

export type PushManifestOptions = Cancellable & { readonly tag?: string };

export type TargetCapabilities = {
  /** `probe`: whether an index may name children that are not there is found out by trying. */
  readonly sparseIndex: boolean;
  /** A child pushed by digest can be seen before its index is tagged (not so in OpenShift's registry). */
  readonly childrenVisible: boolean;
  /** `tags`: signatures travel only as cosign tags; other referrers cannot be kept (OpenShift's registry). */
  readonly referrers: "all" | "tags";
  /** Every entry of an index must name a platform (image streams). */
  readonly indexNeedsPlatforms: boolean;
  /** A manifest that is present proves that all it names is present too (not so behind pull-through). */
  readonly manifestImpliesContent: boolean;
};
