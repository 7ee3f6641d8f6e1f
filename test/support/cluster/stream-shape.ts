import { badRequest } from "./failure.ts";
import type { ImageStream, SpecTag } from "./objects.ts";
import { compare } from "./stream-events.ts";

/** What affects a stream besides the stream itself. */
export type StreamContext = {
  /** Host of the integrated registry in `status.dockerImageRepository`; empty where there is none. */
  readonly registryHost: string;
  readonly publicRegistryHost: string;
  readonly defaultImportMode: string;
  readonly find: (namespace: string, name: string) => ImageStream | undefined;
  /** Whether the writer may `get imagestreams/layers` of another stream. */
  readonly mayPull: (namespace: string, name: string) => boolean;
  /** undefined: every registry may be imported from. */
  readonly allowedRegistries: readonly string[] | undefined;
};

/** Fields that are computed on every read. Values from a client are ignored. */
export function decorate(
  stream: ImageStream,
  { registryHost, publicRegistryHost }: StreamContext,
): ImageStream {
  const copy = structuredClone(stream);
  const path = `${copy.metadata.namespace}/${copy.metadata.name}`;
  copy.status.dockerImageRepository = registryHost === "" ? "" : `${registryHost}/${path}`;
  delete copy.status.publicDockerImageRepository;
  if (publicRegistryHost !== "") copy.status.publicDockerImageRepository = `${publicRegistryHost}/${path}`;
  return copy;
}

/** Brings what a client sent into the stored shape: missing parts, defaults, order. */
export function normalise(
  sent: unknown,
  namespace: string,
  { defaultImportMode }: StreamContext,
): ImageStream {
  const input = sent as Partial<ImageStream> | null;
  if (typeof input !== "object" || input === null || typeof input.metadata !== "object")
    throw badRequest("the object provided is unrecognized (must be of type ImageStream)");
  const { metadata, spec, status } = input;
  return {
    apiVersion: "image.openshift.io/v1",
    kind: "ImageStream",
    metadata: { ...structuredClone(metadata), namespace },
    spec: {
      ...structuredClone(spec),
      lookupPolicy: { local: spec?.lookupPolicy?.local ?? false },
      ...(spec?.tags ? { tags: sortedTags(spec.tags, defaultImportMode) } : {}),
    },
    status: { dockerImageRepository: "", ...structuredClone(status) },
  };
}

function sortedTags(tags: readonly Partial<SpecTag>[], importMode: string): SpecTag[] {
  return tags.map((tag) => normaliseTag(tag, importMode)).toSorted((a, b) => compare(a.name, b.name));
}

export function normaliseTag(tag: Partial<SpecTag>, importMode: string): SpecTag {
  const { scheduled, ...policy } = tag.importPolicy ?? {};
  return {
    ...structuredClone(tag),
    name: tag.name ?? "",
    annotations: tag.annotations ?? null,
    generation: tag.generation ?? null,
    importPolicy: {
      ...policy,
      ...(scheduled === true ? { scheduled } : {}), // false is not stored (56aa2d96)
      importMode: policy.importMode || importMode,
    },
    referencePolicy: { type: tag.referencePolicy?.type || "Source" },
  };
}

/** Converts to the form on the wire, where an undefined field is absent. */
export function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}
