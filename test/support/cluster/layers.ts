import { IMAGE_API, type ImageStream } from "./objects.ts";
import type { ClusterState } from "./state.ts";

type Blobs = Record<string, { size: number | null; mediaType: string }>;
type Images = Record<
  string,
  { layers: string[] | null; config: string | null; manifests?: string[]; imageMissing?: true }
>;

/** The answer from which the registry learns which blobs and manifests belong to a stream. */
export function layersOf(
  state: ClusterState,
  stream: ImageStream,
): {
  kind: string;
  apiVersion: string;
  metadata: ImageStream["metadata"];
  blobs: Blobs;
  images: Images;
} {
  const blobs: Blobs = {};
  const images: Images = {};
  const add = (digest: string): void => {
    if (digest === "" || images[digest]) return;
    const image = state.images.get(digest);
    if (!image) {
      images[digest] = { imageMissing: true, layers: null, config: null };
      return;
    }
    blobs[digest] = { size: null, mediaType: image.dockerImageManifestMediaType ?? "" };
    if (image.dockerImageManifests) {
      const manifests = image.dockerImageManifests.map((child) => child.digest);
      images[digest] = { layers: null, config: null, manifests };
      for (const child of manifests) add(child);
      return;
    }
    const config = image.dockerImageMetadata?.["Id"];
    images[digest] = {
      layers: (image.dockerImageLayers ?? []).map(({ name }) => name),
      config: typeof config === "string" && config !== "" ? config : null,
    };
    for (const { name, size, mediaType } of image.dockerImageLayers ?? []) blobs[name] = { size, mediaType };
    if (typeof config === "string" && config !== "")
      blobs[config] = { size: null, mediaType: "application/vnd.oci.image.config.v1+json" };
  };
  for (const { items } of stream.status.tags ?? []) for (const { image } of items ?? []) add(image);
  return { kind: "ImageStreamLayers", apiVersion: IMAGE_API, metadata: stream.metadata, blobs, images };
}
