import { type ApiCall, type ApiReply, listOf, ok, success } from "./call.ts";
import { alreadyExists, badRequest, conflict, methodNotSupported, notFound } from "./failure.ts";
import {
  IMAGE_API,
  type ImageObject,
  type ImageStream,
  latestEvent,
  type Metadata,
  type SpecTag,
  specTag,
  statusTag,
} from "./objects.ts";
import { applyPatch } from "./patch.ts";
import { commitStream, enforceLimits, findStream, getStream, listStreams } from "./state.ts";
import { contextFor, splitTagName, writeStream } from "./stream-api.ts";
import { compare, resolvePullSpec } from "./stream-events.ts";
import { normaliseTag, plain } from "./stream-shape.ts";
import { prepareCreate } from "./streams.ts";

type TagKind = "ImageStreamTag" | "ImageTag";
const RESOURCE = { ImageStreamTag: "imagestreamtags", ImageTag: "imagetags" } as const;

/** `imagestreamtags` and `imagetags`: virtual, made of a stream and an Image each time. */
export function handleTags(call: ApiCall, kind: TagKind): ApiReply {
  const { verb, state, namespace } = call;
  const resource = RESOURCE[kind];
  switch (verb) {
    case "watch":
    case "deletecollection":
      throw methodNotSupported(resource, verb);
    case "get":
      return ok(getTag(call, kind));
    case "list": {
      const streams = listStreams(state, namespace === "" ? undefined : namespace);
      const items = streams.flatMap((stream) => listTags(call, stream, kind));
      return ok(listOf(call, IMAGE_API, `${kind}List`, items));
    }
    case "create":
      return ok(writeTag(call, kind, call.body, "create"), 201);
    case "update": {
      const status = isNewTag(call, kind) ? 201 : 200; // seen in 56aa2d96
      return ok(writeTag(call, kind, call.body, "update"), status);
    }
    case "patch": {
      const current = getTag(call, kind, { specOnly: true });
      return ok(writeTag(call, kind, applyPatch(plain(current), call.contentType, call.body), "update"));
    }
    case "delete":
      return ok(deleteTag(call, resource));
  }
}

function isNewTag({ state, namespace, name }: ApiCall, kind: TagKind): boolean {
  const [streamName, tag] = splitTagName(kind === "ImageStreamTag" ? "ImageStreamTags" : "ImageTags", name);
  const stream = findStream(state, namespace, streamName);
  return !stream || (!specTag(stream, tag) && !statusTag(stream, tag));
}

function getTag(call: ApiCall, kind: TagKind, { specOnly = false } = {}): unknown {
  const { state, namespace, name } = call;
  const resource = RESOURCE[kind];
  const label = kind === "ImageStreamTag" ? "ImageStreamTags" : "ImageTags";
  const [streamName, tag] = splitTagName(label, name);
  const stream = findStream(state, namespace, streamName);
  // The name of the missing stream alone: that is how a client tells the two apart.
  if (!stream) throw notFound(resource, streamName);
  if (kind === "ImageTag") {
    if (!specTag(stream, tag) && !statusTag(stream, tag)) throw notFound(resource, name);
    return imageTag(call, stream, tag);
  }
  const event = latestEvent(stream, tag);
  const image = event && state.images.get(event.image);
  if (!image && !(specOnly && (specTag(stream, tag) || event))) throw notFound(resource, name);
  return imageStreamTag(stream, tag, image);
}

function listTags(call: ApiCall, stream: ImageStream, kind: TagKind): unknown[] {
  const names = new Set([
    ...(stream.status.tags ?? []).map(({ tag }) => tag),
    ...(kind === "ImageTag" ? (stream.spec.tags ?? []).map(({ name }) => name) : []),
  ]);
  const sorted = [...names].toSorted(compare);
  if (kind === "ImageTag") return sorted.map((tag) => imageTag(call, stream, tag));
  return sorted
    .filter((tag) => (latestEvent(stream, tag)?.image ?? "") !== "")
    .map((tag) => {
      const { image } = latestEvent(stream, tag) ?? { image: "" };
      return imageStreamTag(stream, tag, bareImage(image));
    });
}

function bareImage(digest: string): ImageObject {
  return { apiVersion: IMAGE_API, kind: "Image", metadata: { name: digest }, dockerImageReference: "" };
}

function tagMetadata(stream: ImageStream, tag: string): Metadata {
  const { namespace, name, uid, resourceVersion, creationTimestamp, labels } = stream.metadata;
  return {
    name: `${name}:${tag}`,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    creationTimestamp: latestEvent(stream, tag)?.created ?? creationTimestamp ?? "",
    ...(labels === undefined ? {} : { labels }),
  };
}

export function imageStreamTag(stream: ImageStream, tag: string, image: ImageObject | undefined): unknown {
  const spec = specTag(stream, tag);
  const conditions = statusTag(stream, tag)?.conditions;
  return {
    kind: "ImageStreamTag",
    apiVersion: IMAGE_API,
    metadata: {
      ...tagMetadata(stream, tag),
      ...(spec?.annotations ? { annotations: spec.annotations } : {}),
    },
    tag: spec ?? null,
    generation: latestEvent(stream, tag)?.generation ?? 0,
    lookupPolicy: stream.spec.lookupPolicy,
    ...(conditions ? { conditions } : {}),
    image: {
      ...(image ?? bareImage("")),
      dockerImageReference: resolvePullSpec(stream, tag) ?? "",
    },
  };
}

function imageTag({ state }: ApiCall, stream: ImageStream, tag: string): unknown {
  const event = latestEvent(stream, tag);
  return {
    kind: "ImageTag",
    apiVersion: IMAGE_API,
    metadata: tagMetadata(stream, tag),
    spec: specTag(stream, tag) ?? null,
    status: statusTag(stream, tag) ?? null,
    image: (event && state.images.get(event.image)) ?? null,
  };
}

type SentTag = {
  metadata?: Metadata;
  tag?: Partial<SpecTag> | null;
  spec?: Partial<SpecTag> | null;
  lookupPolicy?: { local?: boolean };
};

/** Writes the spec tag whole. A missing stream is made; no resourceVersion means a blind write. */
function writeTag(call: ApiCall, kind: TagKind, body: unknown, how: "create" | "update"): unknown {
  const { state, namespace } = call;
  const sent = (body ?? {}) as SentTag;
  const name = how === "create" ? (sent.metadata?.name ?? "") : call.name;
  const [streamName, tag] = splitTagName(kind === "ImageTag" ? "ImageTags" : "ImageStreamTags", name);
  const old = findStream(state, namespace, streamName);
  const resource = RESOURCE[kind];
  const { resourceVersion } = sent.metadata ?? {};
  if (old && resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion)
    throw conflict(resource, name);
  if (old && how === "create" && specTag(old, tag)) throw alreadyExists(resource, name);
  const given = kind === "ImageTag" ? sent.spec : sent.tag;
  if (!given)
    throw badRequest(`${kind} ${name}: the tag was pushed; a spec tag has to be given to change it`);
  const annotations = kind === "ImageTag" ? given.annotations : sent.metadata?.annotations;
  const made = normaliseTag(
    { ...given, name: tag, annotations: annotations ?? null },
    state.defaultImportMode,
  );
  const stream = storeTag(call, old, streamName, made);
  if (kind === "ImageTag") return imageTag(call, stream, tag);
  const event = latestEvent(stream, tag);
  return imageStreamTag(stream, tag, event && state.images.get(event.image));
}

function storeTag(call: ApiCall, old: ImageStream | undefined, name: string, tag: SpecTag): ImageStream {
  const { state, namespace } = call;
  if (!old) {
    const sent: ImageStream = {
      apiVersion: IMAGE_API,
      kind: "ImageStream",
      metadata: { name, namespace },
      spec: { lookupPolicy: { local: false }, tags: [tag] },
      status: { dockerImageRepository: "" },
    };
    const made = prepareCreate(sent, contextFor(call));
    enforceLimits(state, made, true);
    return commitStream(state, made);
  }
  const others = (old.spec.tags ?? []).filter((other) => other.name !== tag.name);
  const tags = [...others, tag].toSorted((a, b) => compare(a.name, b.name));
  return writeStream(call, { ...old, spec: { ...old.spec, tags } }, old, {
    keepStatus: true,
    manager: undefined,
  });
}

/** Takes away spec and history of the tag; Image objects stay. */
function deleteTag(call: ApiCall, resource: string): unknown {
  const { state, namespace, name } = call;
  const [streamName, tag] = splitTagName(resource === "imagetags" ? "ImageTags" : "ImageStreamTags", name);
  const stream = getStream(state, namespace, streamName, resource);
  if (!specTag(stream, tag) && !statusTag(stream, tag)) throw notFound(resource, name);
  const { spec, status } = stream;
  const hadSpec = specTag(stream, tag) !== undefined;
  commitStream(state, {
    ...stream,
    metadata: { ...stream.metadata, generation: (stream.metadata.generation ?? 1) + (hadSpec ? 1 : 0) },
    spec: { ...spec, ...(spec.tags ? { tags: spec.tags.filter((other) => other.name !== tag) } : {}) },
    status: { ...status, ...(status.tags ? { tags: status.tags.filter((other) => other.tag !== tag) } : {}) },
  });
  return success();
}
