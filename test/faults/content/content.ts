import { createHash } from "node:crypto";

/** The content of images, independent of the product: bytes by digest. */

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";

export type Descriptor = {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Readonly<Record<string, string>>;
  readonly artifactType?: string;
};

export type StoredManifest = { readonly mediaType: string; readonly bytes: Buffer };

/** What a manifest names, by the OCI image specification. Fields may be wrong, because targets are read too. */
export type ManifestBody = {
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
};

/** Something to push: its manifests (children first, the root last) and their blobs. */
export type Content = {
  readonly top: Descriptor;
  readonly manifests: readonly { readonly digest: string; readonly manifest: StoredManifest }[];
  readonly blobs: readonly { readonly digest: string; readonly bytes: Buffer }[];
};

/** A place that content is read from: a repository of a registry, or a layout on disk. */
export type ContentReader = {
  readonly manifest: (digest: string) => StoredManifest | undefined;
  readonly blob: (digest: string) => Buffer | undefined;
};

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export function parseManifest(bytes: Buffer): ManifestBody {
  return JSON.parse(bytes.toString("utf8")) as ManifestBody;
}

export function descriptorOf({ mediaType, bytes }: StoredManifest): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

/** Tags with referrers of an image: the fallback index of referrers, and cosign's tags. */
export const DIGEST_TAG = /^sha256-[0-9a-f]{64}(?:\.[a-z]+)?$/;

export function fallbackTag(digest: string): string {
  return digest.replace(":", "-");
}
