import { type Digest, isDigest } from "../oci/digest.ts";
import type { TagReference } from "./tag-reference.ts";

export type StreamName = { readonly namespace: string; readonly name: string };

/** `namespace/name` */
export function formatStream({ namespace, name }: StreamName): string {
  return `${namespace}/${name}`;
}

/** An image stream, as `parseImageStream` reads it. Writes are patches, so other fields are never sent back. */
export type ImageStream = {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid?: string | undefined;
    readonly resourceVersion: string;
    readonly annotations?: Readonly<Record<string, string | undefined>> | null | undefined;
    readonly managedFields?: readonly ManagedFields[] | null | undefined;
  };
  readonly spec?: { readonly tags?: readonly TagReference[] | null | undefined } | undefined;
  readonly status?:
    | {
        readonly dockerImageRepository?: string | undefined;
        readonly publicDockerImageRepository?: string | undefined;
        readonly tags?: readonly NamedTagEventList[] | null | undefined;
      }
    | undefined;
};

export type NamedTagEventList = {
  readonly tag: string;
  /** Newest first; null when no import has succeeded. */
  readonly items?: readonly TagEvent[] | null | undefined;
};

export type TagEvent = {
  readonly dockerImageReference: string;
  readonly image: string;
  /** ISO date. */
  readonly created?: string | null | undefined;
};

type ManagedFields = {
  readonly manager?: string | undefined;
  readonly time?: string | null | undefined;
  readonly fieldsV1?: unknown;
};

/** The image that a tag points at now: its newest event, if this event names an image. */
export function currentEvent(
  stream: ImageStream,
  tag: string,
): (TagEvent & { readonly image: Digest }) | undefined {
  const event = stream.status?.tags?.find((one) => one.tag === tag)?.items?.[0];
  if (!event) return undefined;
  const { image } = event;
  return isDigest(image) ? { ...event, image } : undefined;
}

export function specTag(stream: ImageStream, tag: string): TagReference | undefined {
  return stream.spec?.tags?.find(({ name }) => name === tag);
}

/** True when the newest image of a tag is in the integrated registry, in the repository of this stream. */
export function isLocal(stream: ImageStream, tag: string): boolean {
  const reference = currentEvent(stream, tag)?.dockerImageReference;
  const { dockerImageRepository, publicDockerImageRepository } = stream.status ?? {};
  return [dockerImageRepository, publicDockerImageRepository].some(
    (repository) =>
      repository !== undefined && repository !== "" && reference?.startsWith(`${repository}@`) === true,
  );
}

/** The reference that a spec tag imports from; undefined when it imports nothing. */
export function importedFrom(stream: ImageStream, tag: string): string | undefined {
  const spec = specTag(stream, tag);
  return spec?.from?.kind === "DockerImage" && spec.reference !== true ? spec.from.name : undefined;
}

/** The tag or image that a spec tag follows or refers to. Such a tag gets a new event with each change of the spec. */
export function followedTag(stream: ImageStream, tag: string): string | undefined {
  const spec = specTag(stream, tag);
  if (!spec?.from) return undefined;
  if (spec.from.kind === "DockerImage")
    return spec.reference === true ? `${spec.from.name} (a reference)` : undefined;
  return `${spec.from.kind} ${spec.from.namespace === undefined ? "" : `${spec.from.namespace}/`}${spec.from.name}`;
}

/** The field manager that wrote a spec tag, from the managed fields. The message names it when a spec tag came back. */
export function spoilingManager(stream: ImageStream, tag: string): string | undefined {
  const key = `k:{"name":"${tag}"}`;
  const writers = (stream.metadata.managedFields ?? []).filter(({ fieldsV1 }) =>
    within(fieldsV1, ["f:spec", "f:tags", key]),
  );
  return writers.toSorted((one, other) => (other.time ?? "").localeCompare(one.time ?? ""))[0]?.manager;
}

function within(fields: unknown, path: readonly string[]): boolean {
  const [key, ...rest] = path;
  if (key === undefined) return fields !== undefined;
  if (typeof fields !== "object" || fields === null) return false;
  return within((fields as Record<string, unknown>)[key], rest);
}
