import { randomUUID } from "node:crypto";

import { type ApiFailure, forbidden, notFound } from "./failure.ts";
import { type FieldOwners, managedFields, own } from "./managed-fields.ts";
import { type ImageObject, type ImageStream, type KubeObject, now } from "./objects.ts";
import { compare } from "./stream-events.ts";
import { decorate, type StreamContext } from "./stream-shape.ts";

/** How much a namespace may hold; undefined: any number. */
export type NamespaceLimits = {
  /** LimitRange `openshift.io/images`: images in the history of one stream. */
  readonly images?: number;
  /** LimitRange `openshift.io/image-tags`: spec tags of one stream. */
  readonly imageTags?: number;
  /** LimitRange `openshift.io/Image`: bytes of one image. */
  readonly imageBytes?: number;
  /** Quota `openshift.io/imagestreams`: streams in the namespace. */
  readonly imageStreams?: number;
};

export type WatchEvent = {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly resourceVersion: number;
  readonly object: ImageStream;
};

/** What the server keeps in etcd. */
export type ClusterState = {
  readonly streams: Map<string, ImageStream>;
  readonly images: Map<string, ImageObject>;
  readonly namespaces: Set<string>;
  /** All other objects: `group/resource` → `namespace/name` → object. */
  readonly objects: Map<string, Map<string, KubeObject>>;
  readonly limits: Map<string, NamespaceLimits>;
  readonly owners: Map<string, FieldOwners>;
  /** Streams whose field managers the server does not record. */
  readonly untracked: Set<string>;
  /** Seeded tags (`namespace/name:tag`) that the controller leaves alone while they have this generation. */
  readonly dormant: Map<string, number>;
  readonly watchLog: WatchEvent[];
  readonly listeners: Set<(event: WatchEvent, old: ImageStream | undefined) => void>;
  /** Watches from before this are answered 410. */
  compactedAt: number;
  resourceVersion: number;
  allowedRegistries: readonly string[] | undefined;
  registryHost: string;
  publicRegistryHost: string;
  defaultImportMode: string;
};

export function createState(): ClusterState {
  return {
    streams: new Map(),
    images: new Map(),
    namespaces: new Set(),
    objects: new Map(),
    limits: new Map(),
    owners: new Map(),
    untracked: new Set(),
    dormant: new Map(),
    watchLog: [],
    listeners: new Set(),
    compactedAt: 0,
    resourceVersion: 100,
    allowedRegistries: undefined,
    registryHost: "",
    publicRegistryHost: "",
    defaultImportMode: "Legacy",
  };
}

export function nextVersion(state: ClusterState): string {
  state.resourceVersion += 1;
  return String(state.resourceVersion);
}

export function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

/** What the algorithms on streams ask about the rest of the cluster. */
export function contextOf(
  state: ClusterState,
  mayPull: (namespace: string, name: string) => boolean = () => true,
): StreamContext {
  return {
    registryHost: state.registryHost,
    publicRegistryHost: state.publicRegistryHost,
    defaultImportMode: state.defaultImportMode,
    find: (namespace, name) => findStream(state, namespace, name),
    mayPull,
    allowedRegistries: state.allowedRegistries,
  };
}

/** A copy as a client sees it. */
export function findStream(state: ClusterState, namespace: string, name: string): ImageStream | undefined {
  const stored = state.streams.get(keyOf(namespace, name));
  return stored && decorate(stored, contextOf(state));
}

/** @throws {ApiFailure} 404 that names the resource of the request, not `imagestreams` */
export function getStream(
  state: ClusterState,
  namespace: string,
  name: string,
  resource = "imagestreams",
): ImageStream {
  const stream = findStream(state, namespace, name);
  if (!stream) throw notFound(resource, name);
  return stream;
}

export function listStreams(state: ClusterState, namespace?: string): ImageStream[] {
  return [...state.streams]
    .filter(([key]) => namespace === undefined || key.startsWith(`${namespace}/`))
    .toSorted(([a], [b]) => compare(a, b))
    .map(([, stream]) => decorate(stream, contextOf(state)));
}

/**
 * Stores a stream and tells the watches. `manager` is set for plain writes; what the server writes on behalf of an
 * import or a push leaves the owners of the fields alone.
 */
export function commitStream(state: ClusterState, stream: ImageStream, manager?: string): ImageStream {
  const { namespace = "", name } = stream.metadata;
  const key = keyOf(namespace, name);
  const old = state.streams.get(key);
  const stored = structuredClone(stream);
  const owners = own(
    state.owners.get(key) ?? new Map(),
    old,
    stored,
    manager === undefined ? undefined : { manager, time: now() },
  );
  if (!old && !isTracked(stored)) state.untracked.add(key);
  if (state.untracked.has(key)) owners.clear();
  state.owners.set(key, owners);
  const { metadata } = stored;
  metadata.uid = old?.metadata.uid ?? randomUUID();
  metadata.creationTimestamp = old?.metadata.creationTimestamp ?? now();
  metadata.resourceVersion = nextVersion(state);
  delete metadata.managedFields;
  if (owners.size > 0) metadata.managedFields = managedFields(owners);
  state.streams.set(key, stored);
  publish(state, old ? "MODIFIED" : "ADDED", stored, old);
  return decorate(stored, contextOf(state));
}

/**
 * A stream that was made with nothing but its name has no managedFields, and later writes add none; one that was
 * made with an annotation or a label has them. (reference/openshift.md §11)
 */
function isTracked({ metadata, spec }: ImageStream): boolean {
  const { annotations, labels } = metadata;
  return [annotations, labels, spec.tags].some((part) => Object.keys(part ?? {}).length > 0);
}

export function removeStream(state: ClusterState, namespace: string, name: string): ImageStream {
  const key = keyOf(namespace, name);
  const old = state.streams.get(key);
  if (!old) throw notFound("imagestreams", name);
  state.streams.delete(key);
  state.owners.delete(key);
  state.untracked.delete(key);
  const last = structuredClone(old);
  last.metadata.resourceVersion = nextVersion(state);
  publish(state, "DELETED", last, old);
  return decorate(old, contextOf(state));
}

function publish(
  state: ClusterState,
  type: WatchEvent["type"],
  stored: ImageStream,
  old: ImageStream | undefined,
): void {
  const object = decorate(stored, contextOf(state));
  const event = { type, resourceVersion: state.resourceVersion, object };
  state.watchLog.push(event);
  for (const listener of state.listeners) listener(event, old && decorate(old, contextOf(state)));
}

/** Forgets the history of watches, as etcd does every few minutes. */
export function compact(state: ClusterState): void {
  state.compactedAt = state.resourceVersion;
  state.watchLog.length = 0;
}

/** @throws {ApiFailure} 403 when the quota of the namespace is reached */
export function enforceLimits(state: ClusterState, stream: ImageStream, created: boolean): void {
  const { namespace = "", name } = stream.metadata;
  const limits = state.limits.get(namespace);
  if (!limits) return;
  const { images, imageTags, imageStreams } = limits;
  if (created && imageStreams !== undefined && listStreams(state, namespace).length >= imageStreams)
    throw forbidden(
      "imagestreams",
      name,
      `exceeded quota: streams, requested: openshift.io/imagestreams=1, used: openshift.io/imagestreams=${imageStreams}, limited: openshift.io/imagestreams=${imageStreams}`,
    );
  const held = new Set(
    (stream.status.tags ?? []).flatMap(({ items }) => items ?? []).map(({ image }) => image),
  );
  const tags = stream.spec.tags?.length ?? 0;
  if (images !== undefined && held.size > images) throw overLimit(name, "images", held.size, images);
  if (imageTags !== undefined && tags > imageTags) throw overLimit(name, "image-tags", tags, imageTags);
}

function overLimit(name: string, what: string, requested: number, limit: number): ApiFailure {
  return forbidden(
    "imagestreams",
    name,
    `exceeds openshift.io/${what}: requested ${requested}, limited to ${limit}`,
  );
}

/** @throws {ApiFailure} 403 where a LimitRange caps the size of one image */
export function enforceImageSize(
  state: ClusterState,
  namespace: string,
  digest: string,
  bytes: number,
): void {
  const limit = state.limits.get(namespace)?.imageBytes;
  if (limit !== undefined && bytes > limit)
    throw forbidden(
      "images",
      digest,
      `exceeds the maximum storage limit per openshift.io/Image of ${limit}, requested ${bytes}`,
    );
}

/** Whether the history of any stream names the digest: while one does, the image cannot be deleted. */
export function isReferenced(state: ClusterState, digest: string): boolean {
  return [...state.streams.values()].some(({ status }) =>
    (status.tags ?? []).some(({ items }) => items?.some(({ image }) => image === digest)),
  );
}
