import type { Digest } from "../../../src/oci/digest.ts";

/** The objects of image.openshift.io/v1 as the server stores them: mutable, because the server mutates its copies. */
export type Metadata = {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  managedFields?: ManagedFields[];
};

export type ManagedFields = {
  manager: string;
  operation: "Update" | "Apply";
  apiVersion: string;
  time: string;
  fieldsType: "FieldsV1";
  fieldsV1: FieldTree;
};
export type FieldTree = { [field: string]: FieldTree };

export type KubeObject = { apiVersion: string; kind: string; metadata: Metadata; [field: string]: unknown };

export type TagFrom = { kind: string; name: string; namespace?: string };
export type ImportPolicy = { insecure?: boolean; scheduled?: boolean; importMode?: string };

export type SpecTag = {
  name: string;
  annotations: Record<string, string> | null;
  from?: TagFrom;
  reference?: boolean;
  generation: number | null;
  importPolicy: ImportPolicy;
  referencePolicy: { type: string };
};

export type TagEvent = { created: string; dockerImageReference: string; image: string; generation: number };

export type TagCondition = {
  type: "ImportSuccess";
  status: "False";
  lastTransitionTime: string;
  reason: string;
  message: string;
  generation: number;
};

export type StatusTag = { tag: string; items: TagEvent[] | null; conditions?: TagCondition[] };

export type ImageStream = {
  apiVersion: "image.openshift.io/v1";
  kind: "ImageStream";
  metadata: Metadata;
  spec: { lookupPolicy: { local: boolean }; dockerImageRepository?: string; tags?: SpecTag[] };
  status: { dockerImageRepository: string; publicDockerImageRepository?: string; tags?: StatusTag[] };
};

export type ImageLayer = { name: string; size: number; mediaType: string };
export type ImageManifest = {
  digest: Digest;
  mediaType: string;
  manifestSize: number;
  architecture: string;
  os: string;
  variant?: string;
};

export type ImageObject = {
  apiVersion: "image.openshift.io/v1";
  kind: "Image";
  metadata: Metadata;
  dockerImageReference: string;
  dockerImageMetadata?: Record<string, unknown>;
  dockerImageMetadataVersion?: string;
  dockerImageManifest?: string;
  dockerImageManifestMediaType?: string;
  dockerImageLayers?: ImageLayer[];
  dockerImageManifests?: ImageManifest[];
};

/** metav1.Status, the body of every refusal and of some successes. */
export type Status = {
  kind?: "Status";
  apiVersion?: "v1";
  metadata: Record<string, never>;
  status: "Success" | "Failure";
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code?: number;
};

export type StatusDetails = {
  name?: string;
  group?: string;
  kind?: string;
  causes?: { reason: string; message: string; field: string }[];
  retryAfterSeconds?: number;
};

export const IMAGE_GROUP = "image.openshift.io";
export const IMAGE_API = "image.openshift.io/v1";
export const CHECK_ANNOTATION = "openshift.io/image.dockerRepositoryCheck";
export const INSECURE_ANNOTATION = "openshift.io/image.insecureRepository";
export const MANAGED_ANNOTATION = "openshift.io/image.managed";

/** Times of the Kubernetes API have no fractions. */
export function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}

export function specTag(stream: ImageStream, tag: string): SpecTag | undefined {
  return stream.spec.tags?.find(({ name }) => name === tag);
}

export function statusTag(stream: ImageStream, tag: string): StatusTag | undefined {
  return stream.status.tags?.find((entry) => entry.tag === tag);
}

export function latestEvent(stream: ImageStream, tag: string): TagEvent | undefined {
  return statusTag(stream, tag)?.items?.[0];
}
