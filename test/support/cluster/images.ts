import { type Digest, digestOf, isDigest } from "../../../src/oci/digest.ts";
import { isIndexType } from "../../../src/oci/media-type.ts";
import { type FieldProblem, invalid } from "./failure.ts";
import type { ImageLayer, ImageManifest, ImageObject } from "./objects.ts";
import { type ClusterState, nextVersion } from "./state.ts";

/** A manifest with what the server needs to know of it. */
export type FetchedManifest = {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly digest: Digest;
  /** Of an image; undefined for an index, and where it could not be read. */
  readonly config?: Uint8Array | undefined;
};

type LooseDescriptor = {
  mediaType?: string;
  digest?: string;
  size?: number;
  platform?: { architecture?: string; os?: string; variant?: string };
};
export type LooseManifest = {
  config?: LooseDescriptor;
  layers?: LooseDescriptor[];
  manifests?: LooseDescriptor[];
};

export function readLoosely(bytes: Uint8Array): LooseManifest {
  return JSON.parse(Buffer.from(bytes).toString()) as LooseManifest;
}

/** The Image object the server derives from raw manifest and config; both are then blanked. */
export function imageObject(
  { bytes, mediaType, digest, config }: FetchedManifest,
  dockerImageReference: string,
  { managed }: { readonly managed: boolean },
): ImageObject {
  const manifest = readLoosely(bytes);
  const annotations: Record<string, string> = {
    "image.openshift.io/dockerLayersOrder": "ascending",
    "image.openshift.io/manifestBlobStored": "true",
    ...(managed ? { "openshift.io/image.managed": "true" } : {}),
  };
  const image: ImageObject = {
    apiVersion: "image.openshift.io/v1",
    kind: "Image",
    metadata: { name: digest, annotations },
    dockerImageReference,
    dockerImageMetadataVersion: "1.0",
    dockerImageManifest: "",
    dockerImageManifestMediaType: mediaType,
  };
  if (isIndexType(mediaType))
    return { ...image, dockerImageManifests: (manifest.manifests ?? []).map(childOf) };
  const layers = (manifest.layers ?? []).map(layerOf);
  return {
    ...image,
    dockerImageMetadata: metadataOf(manifest, layers, config),
    dockerImageLayers: layers,
  };
}

function childOf({ digest, mediaType = "", size = 0, platform }: LooseDescriptor): ImageManifest {
  return {
    digest: isDigest(digest) ? digest : digestOf(new Uint8Array()),
    mediaType,
    manifestSize: size,
    architecture: platform?.architecture ?? "",
    os: platform?.os ?? "",
    ...(platform?.variant === undefined ? {} : { variant: platform.variant }),
  };
}

function layerOf({ digest = "", mediaType = "", size = 0 }: LooseDescriptor): ImageLayer {
  return { name: digest, size, mediaType };
}

function metadataOf(
  { config }: LooseManifest,
  layers: readonly ImageLayer[],
  bytes: Uint8Array | undefined,
): Record<string, unknown> {
  const read = parseObject(bytes);
  return {
    kind: "DockerImage",
    apiVersion: "image.openshift.io/1.0",
    Id: config?.digest ?? "",
    Created: read["created"] ?? null,
    ContainerConfig: {},
    Config: read["config"] ?? {},
    Architecture: read["architecture"] ?? "",
    Size: layers.reduce((sum, { size }) => sum + size, config?.size ?? 0),
  };
}

/** A config that is no JSON (of an artifact) is only logged by the real server. */
function parseObject(bytes: Uint8Array | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes ?? "").toString());
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/**
 * Stores an Image unless there is one already. Returns whether it was there.
 *
 * @throws {ApiFailure} 422 where an entry of an index names no platform
 */
export function createImage(state: ClusterState, image: ImageObject): boolean {
  const { name } = image.metadata;
  if (state.images.has(name)) return true;
  const problems: FieldProblem[] = (image.dockerImageManifests ?? []).flatMap(({ architecture, os }, at) => [
    ...(architecture === "" ? [required(`dockerImageManifests[${at}].architecture`)] : []),
    ...(os === "" ? [required(`dockerImageManifests[${at}].os`)] : []),
  ]);
  if (problems.length > 0) throw invalid("Image", name, problems);
  const stored = structuredClone(image);
  stored.metadata = {
    ...stored.metadata,
    uid: `image-${name.slice(7, 19)}`,
    resourceVersion: nextVersion(state),
    creationTimestamp: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
  };
  state.images.set(name, stored);
  return false;
}

function required(field: string): FieldProblem {
  return { field, reason: "FieldValueRequired", message: "Required value" };
}

/** Bytes of the image: its layers and config; for an index of all that is known of its children. */
export function imageBytes(state: ClusterState, image: ImageObject): number {
  if (image.dockerImageManifests)
    return image.dockerImageManifests.reduce((sum, { digest }) => {
      const child = state.images.get(digest);
      return child ? sum + imageBytes(state, child) : sum;
    }, 0);
  const size = image.dockerImageMetadata?.["Size"];
  return typeof size === "number" ? size : 0;
}
