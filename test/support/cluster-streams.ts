import { isDeepStrictEqual } from "node:util";

import { badRequest, type FieldProblem, invalid } from "./cluster-failure.ts";
import {
  type ImageStream,
  latestEvent,
  now,
  type SpecTag,
  specTag,
  type StatusTag,
  statusTag,
  type TagCondition,
  type TagEvent,
} from "./cluster-objects.ts";

/** What decides about a stream besides the stream itself. */
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

/** One row of the table of addEvent: see how history grows in `addEvent`. */
export type NewEvent = Omit<TagEvent, "created">;

/**
 * Adds what a tag points at now. A new history item only when both reference and image moved; else the newest is
 * altered in place. Returns whether anything changed.
 */
export function addEvent(stream: ImageStream, tag: string, next: NewEvent): boolean {
  const entry = openStatusTag(stream, tag);
  const [newest] = entry.items ?? [];
  const sameRef = newest?.dockerImageReference === next.dockerImageReference;
  const sameImage = newest?.image === next.image;
  if (newest && sameRef && sameImage && newest.generation === next.generation) return false;
  delete entry.conditions;
  if (newest && (sameRef || sameImage)) Object.assign(newest, next);
  else entry.items = [{ created: now(), ...next }, ...(entry.items ?? [])];
  return true;
}

function withoutTime({ dockerImageReference, image, generation }: TagEvent): NewEvent {
  return { dockerImageReference, image, generation };
}

function openStatusTag(stream: ImageStream, tag: string): StatusTag {
  const known = statusTag(stream, tag);
  if (known) return known;
  const made: StatusTag = { tag, items: null };
  stream.status.tags = [...(stream.status.tags ?? []), made].toSorted((a, b) => compare(a.tag, b.tag));
  return made;
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Gives the event of `tag` to every spec tag of the same stream that follows it. Other streams never follow. */
export function trackTag(stream: ImageStream, tag: string): void {
  const event = latestEvent(stream, tag);
  if (!event) return;
  const next = withoutTime(event);
  for (const { name, from } of stream.spec.tags ?? []) {
    if (from?.kind !== "ImageStreamTag") continue;
    if (from.namespace !== undefined && from.namespace !== "" && from.namespace !== stream.metadata.namespace)
      continue;
    if (from.name === tag || from.name === `${stream.metadata.name}:${tag}`) addEvent(stream, name, next);
  }
}

/** A repeated failure writes nothing: `lastTransitionTime` is no "last checked". Returns whether something was written. */
export function setCondition(
  stream: ImageStream,
  tag: string,
  condition: Omit<TagCondition, "type" | "status" | "lastTransitionTime">,
): boolean {
  const entry = openStatusTag(stream, tag);
  const [old] = entry.conditions ?? [];
  if (old?.reason === condition.reason && old.message === condition.message) return false;
  entry.conditions = [{ type: "ImportSuccess", status: "False", lastTransitionTime: now(), ...condition }];
  return true;
}

/** What triggers, builds and lookups compare: undefined while the tag has never been imported or pushed. */
export function resolvePullSpec(stream: ImageStream, tag: string): string | undefined {
  const event = latestEvent(stream, tag);
  if (!event) return undefined;
  const local = specTag(stream, tag)?.referencePolicy.type === "Local" && event.image !== "";
  return local ? `${stream.status.dockerImageRepository}@${event.image}` : event.dockerImageReference;
}

/** Computed on every read, and never what a client wrote. */
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
  return {
    ...structuredClone(tag),
    name: tag.name ?? "",
    annotations: tag.annotations ?? null,
    generation: tag.generation ?? null,
    importPolicy: { ...tag.importPolicy, importMode: tag.importPolicy?.importMode || importMode },
    referencePolicy: { type: tag.referencePolicy?.type || "Source" },
  };
}

/** A stream as it is stored after POST. Status is the server's. */
export function prepareCreate(stream: ImageStream, context: StreamContext): ImageStream {
  const made = structuredClone(stream);
  made.status = { dockerImageRepository: "" };
  made.metadata.generation = 1;
  for (const tag of made.spec.tags ?? []) tag.generation = 1;
  validate(made, undefined, context);
  followSources(made, undefined, context);
  return made;
}

/** A stream as it is stored after a write. `keepStatus` for users, who cannot alter it. */
export function prepareUpdate(
  sent: ImageStream,
  old: ImageStream,
  context: StreamContext,
  { keepStatus }: { readonly keepStatus: boolean },
): ImageStream {
  const made = structuredClone(sent);
  const stored = old.metadata.generation ?? 1;
  made.metadata.generation = stored;
  if (keepStatus) made.status = structuredClone(old.status);
  for (const tag of made.spec.tags ?? []) {
    const before = specTag(old, tag.name);
    if (before && tag.generation !== 0) tag.generation = before.generation;
  }
  if (!isDeepStrictEqual(plain(old.spec), plain(made.spec))) made.metadata.generation = stored + 1;
  for (const tag of made.spec.tags ?? []) {
    const before = specTag(old, tag.name);
    if (!before || !tag.generation || tagRefChanged(before, tag)) tag.generation = made.metadata.generation;
  }
  validate(made, old, context);
  followSources(made, old, context);
  return made;
}

/** As it looks on the wire, so that an absent field and an undefined one are the same. */
export function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}

/** Scheduled, insecure, referencePolicy and annotations do not count: they start no import. */
function tagRefChanged(old: SpecTag, next: SpecTag): boolean {
  return (
    next.generation === 0 ||
    old.from?.kind !== next.from?.kind ||
    (old.from?.namespace ?? "") !== (next.from?.namespace ?? "") ||
    old.from?.name !== next.from?.name ||
    (old.reference ?? false) !== (next.reference ?? false) ||
    old.importPolicy.importMode !== next.importPolicy.importMode
  );
}

/** Spec tags that name another tag or image, and bare references, are resolved while the write is judged. */
function followSources(stream: ImageStream, old: ImageStream | undefined, context: StreamContext): void {
  const problems: FieldProblem[] = [];
  const moved = new Set<string>();
  for (const tag of stream.spec.tags ?? []) {
    const before = old && specTag(old, tag.name);
    if (!tag.from || (before && !tagRefChanged(before, tag))) continue;
    const event = sourceEvent(stream, tag, context, problems);
    if (event && addEvent(stream, tag.name, event)) moved.add(tag.name);
  }
  if (problems.length > 0) throw invalid("ImageStream", stream.metadata.name, problems);
  for (const tag of moved) trackTag(stream, tag);
}

function sourceEvent(
  stream: ImageStream,
  tag: SpecTag,
  context: StreamContext,
  problems: FieldProblem[],
): NewEvent | undefined {
  const generation = stream.metadata.generation ?? 1;
  const { from } = tag;
  if (!from) return undefined;
  if (from.kind === "DockerImage")
    return tag.reference ? { dockerImageReference: from.name, image: "", generation } : undefined;
  const { name, namespace = "" } = stream.metadata;
  const fromNamespace = from.namespace || namespace;
  const [fromName, wanted] = splitSource(from.kind, from.name, name);
  const here = fromNamespace === namespace && fromName === name;
  const field = `spec.tags[${tag.name}].from`;
  if (!here && !context.mayPull(fromNamespace, fromName)) {
    problems.push({
      field,
      reason: "FieldValueForbidden",
      message: `Forbidden: ${fromNamespace}/${fromName}`,
    });
    return undefined;
  }
  const source = here ? stream : context.find(fromNamespace, fromName);
  if (!source) {
    problems.push({
      field: `${field}.name`,
      reason: "FieldValueNotFound",
      message: `Not found: "${from.name}"`,
    });
    return undefined;
  }
  const event = from.kind === "ImageStreamTag" ? latestEvent(source, wanted) : eventOfImage(source, wanted);
  if (!event) return undefined;
  const facts = withoutTime(event);
  const theirs = `${context.registryHost}/${fromNamespace}/${fromName}`;
  const rewrite = !tag.reference && facts.dockerImageReference.startsWith(`${theirs}@`);
  return {
    ...facts,
    generation,
    ...(rewrite
      ? { dockerImageReference: `${context.registryHost}/${namespace}/${name}@${facts.image}` }
      : {}),
  };
}

function splitSource(kind: string, source: string, self: string): [string, string] {
  const at = source.indexOf(kind === "ImageStreamTag" ? ":" : "@");
  return at === -1 ? [self, source] : [source.slice(0, at), source.slice(at + 1)];
}

/** Digests resolve through the history of the stream's tags only. */
export function eventOfImage(stream: ImageStream, digest: string): TagEvent | undefined {
  const events = (stream.status.tags ?? []).flatMap(({ items }) => items ?? []);
  return events.find(({ image }) => image !== "" && image.startsWith(digest));
}

const STREAM_NAME = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/;
const KINDS = ["DockerImage", "ImageStreamTag", "ImageStreamImage"];

function validate(stream: ImageStream, old: ImageStream | undefined, context: StreamContext): void {
  const { name } = stream.metadata;
  const problems: FieldProblem[] = [];
  if (!STREAM_NAME.test(name) || `${stream.metadata.namespace}/${name}`.length > 255)
    problems.push({
      field: "metadata.name",
      reason: "FieldValueInvalid",
      message: `Invalid value: "${name}": may not contain anything but lower case alphanumerics with single separators`,
    });
  const seen = new Set<string>();
  for (const tag of stream.spec.tags ?? []) {
    const field = `spec.tags[${tag.name}]`;
    if (seen.has(tag.name))
      problems.push({ field, reason: "FieldValueDuplicate", message: `Duplicate value: "${tag.name}"` });
    seen.add(tag.name);
    const before = old && specTag(old, tag.name);
    problems.push(...tagProblems(tag, field, before, context));
  }
  if (problems.length > 0) throw invalid("ImageStream", name, problems);
}

function tagProblems(
  tag: SpecTag,
  field: string,
  before: SpecTag | undefined,
  { allowedRegistries }: StreamContext,
): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const bad = (at: string, reason: FieldProblem["reason"], message: string): void => {
    problems.push({ field: `${field}.${at}`, reason, message });
  };
  const { from, importPolicy, referencePolicy } = tag;
  if (from && !KINDS.includes(from.kind))
    bad(
      "from.kind",
      "FieldValueInvalid",
      `Invalid value: "${from.kind}": valid values are ${KINDS.join(", ")}`,
    );
  if (from?.name === "") bad("from.name", "FieldValueRequired", "Required value");
  if (importPolicy.scheduled && from?.kind !== "DockerImage")
    bad(
      "importPolicy.scheduled",
      "FieldValueInvalid",
      "Invalid value: true: only tags pointing to a DockerImage may be scheduled",
    );
  if (!["Legacy", "PreserveOriginal"].includes(importPolicy.importMode ?? ""))
    bad("importPolicy.importMode", "FieldValueInvalid", `Invalid value: "${importPolicy.importMode}"`);
  if (!["Source", "Local"].includes(referencePolicy.type))
    bad("referencePolicy.type", "FieldValueInvalid", `Invalid value: "${referencePolicy.type}"`);
  if (from?.kind === "DockerImage" && from.name !== before?.from?.name) {
    const why = whitelistProblem(from.name, allowedRegistries);
    if (why !== undefined) bad("from.name", "FieldValueForbidden", why);
  }
  return problems;
}

/** undefined: may be imported. */
export function whitelistProblem(
  reference: string,
  allowed: readonly string[] | undefined,
): string | undefined {
  if (!allowed) return undefined;
  const host = registryOf(reference);
  const fits = allowed.some((entry) =>
    entry.startsWith("*.") ? host.endsWith(entry.slice(1)) : host === entry,
  );
  return fits
    ? undefined
    : `Forbidden: registry "${host}" not allowed by whitelist: ${allowed.map((entry) => `"${entry}"`).join(", ")}`;
}

/** The host of a reference, by Docker's rule. */
export function registryOf(reference: string): string {
  const [first = "", ...rest] = reference.split("/");
  return rest.length > 0 && (/[.:]/.test(first) || first === "localhost") ? first : "docker.io";
}
