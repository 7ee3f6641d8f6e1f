import { isDeepStrictEqual } from "node:util";

import { type FieldProblem, invalid } from "./failure.ts";
import { type ImageStream, latestEvent, type SpecTag, specTag } from "./objects.ts";
import { addEvent, eventOfImage, type NewEvent, trackTag, withoutTime } from "./stream-events.ts";
import { validate } from "./stream-rules.ts";
import { plain, type StreamContext } from "./stream-shape.ts";

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
