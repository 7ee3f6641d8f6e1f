import { isDigest } from "../../../src/oci/digest.ts";
import { createImage } from "./images.ts";
import {
  CHECK_ANNOTATION,
  IMAGE_API,
  type ImageStream,
  now,
  type SpecTag,
  type StatusTag,
  type TagCondition,
  type TagFrom,
} from "./objects.ts";
import { type ClusterState, commitStream, findStream } from "./state.ts";
import { compare } from "./stream-events.ts";
import { normaliseTag } from "./stream-shape.ts";

export type SeedTag = {
  /** A text is a DockerImage. Without it the tag is one that was only pushed. */
  readonly from?: string | TagFrom;
  readonly scheduled?: boolean;
  readonly insecure?: boolean;
  readonly importMode?: "Legacy" | "PreserveOriginal";
  readonly referencePolicy?: "Source" | "Local";
  readonly reference?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Newest first. Image objects are made for what is not there. */
  readonly history?: readonly {
    readonly image: string;
    readonly reference: string;
    readonly created?: string;
  }[];
  readonly condition?: Pick<TagCondition, "reason" | "message">;
};

export type SeedStream = {
  readonly tags?: Readonly<Record<string, SeedTag>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** Who wrote the spec, for managedFields. */
  readonly manager?: string;
  /** Lets the server import the tags as if somebody had just created the stream. */
  readonly unchecked?: boolean;
};

/** A stream that has existed for a long time. Its spec tags are already imported, or will never be. */
export function seedStream(
  state: ClusterState,
  namespace: string,
  name: string,
  { tags = {}, annotations, labels, manager, unchecked = false }: SeedStream = {},
): ImageStream {
  state.namespaces.add(namespace);
  const entries = Object.entries(tags).toSorted(([a], [b]) => compare(a, b));
  for (const { image, reference } of entries.flatMap(([, { history = [] }]) => history))
    if (isDigest(image))
      createImage(state, {
        apiVersion: IMAGE_API,
        kind: "Image",
        metadata: { name: image },
        dockerImageReference: reference,
      });
  if (!unchecked) for (const [tag] of entries) state.dormant.set(`${namespace}/${name}:${tag}`, 1);
  const checked = unchecked ? {} : { [CHECK_ANNOTATION]: now() };
  const old = findStream(state, namespace, name);
  const stream: ImageStream = {
    apiVersion: IMAGE_API,
    kind: "ImageStream",
    metadata: {
      name,
      namespace,
      generation: (old?.metadata.generation ?? 0) + 1,
      annotations: { ...checked, ...annotations },
      ...(labels ? { labels: { ...labels } } : {}),
    },
    spec: {
      lookupPolicy: { local: false },
      tags: entries
        .filter(([, tag]) => tag.from !== undefined)
        .map(([tag, seed]) => specOf(state, tag, seed)),
    },
    status: { dockerImageRepository: "", tags: entries.flatMap(([tag, seed]) => statusOf(tag, seed)) },
  };
  return commitStream(state, stream, manager);
}

function specOf(state: ClusterState, name: string, seed: SeedTag): SpecTag {
  const { from, annotations, scheduled, insecure, importMode, referencePolicy, reference } = seed;
  const importPolicy = {
    ...(insecure === undefined ? {} : { insecure }),
    ...(scheduled === undefined ? {} : { scheduled }),
    ...(importMode === undefined ? {} : { importMode }),
  };
  const source = typeof from === "string" ? { kind: "DockerImage", name: from } : from;
  return normaliseTag(
    {
      name,
      generation: 1,
      importPolicy,
      annotations: annotations ? { ...annotations } : null,
      ...(source ? { from: source } : {}),
      ...(reference === undefined ? {} : { reference }),
      ...(referencePolicy ? { referencePolicy: { type: referencePolicy } } : {}),
    },
    state.defaultImportMode,
  );
}

function statusOf(tag: string, { history, condition }: SeedTag): StatusTag[] {
  if (!history && !condition) return [];
  const items = history?.map(({ image, reference, created = now() }) => {
    return { created, dockerImageReference: reference, image, generation: 1 };
  });
  const conditions: TagCondition[] | undefined = condition && [
    { type: "ImportSuccess", status: "False", lastTransitionTime: now(), generation: 1, ...condition },
  ];
  return [{ tag, items: items ?? null, ...(conditions ? { conditions } : {}) }];
}
