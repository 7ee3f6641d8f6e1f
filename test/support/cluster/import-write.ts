import { isDeepStrictEqual } from "node:util";

import { ApiFailure, conflict } from "./failure.ts";
import { createImage } from "./images.ts";
import type { Fetched, ImportSpec } from "./import-fetch.ts";
import {
  CHECK_ANNOTATION,
  type ImageStream,
  type ImportPolicy,
  latestEvent,
  now,
  specTag,
  statusTag,
} from "./objects.ts";
import { type ClusterState, commitStream, contextOf, enforceLimits, findStream } from "./state.ts";
import { addEvent, setCondition, trackTag } from "./stream-events.ts";
import { normaliseTag, plain } from "./stream-shape.ts";
import { prepareUpdate } from "./streams.ts";

export function newStream(namespace: string, name: string): ImageStream {
  return {
    apiVersion: "image.openshift.io/v1",
    kind: "ImageStream",
    metadata: { name, namespace, generation: 0 },
    spec: { lookupPolicy: { local: false } },
    status: { dockerImageRepository: "" },
  };
}

/** Creates the spec tag even if the import failed. Success overwrites it only when something changed. */
export function applyResult(
  state: ClusterState,
  stream: ImageStream,
  spec: ImportSpec,
  tag: string,
  result: Fetched,
): void {
  const generation = (stream.metadata.generation ?? 0) + 1;
  if (result.kind === "failed") {
    ensureSpecTag(state, stream, tag, spec, { reset: false });
    setCondition(stream, tag, { reason: result.reason, message: result.message, generation });
    return;
  }
  const { image } = result;
  const event = latestEvent(stream, tag);
  const pending = (specTag(stream, tag)?.generation ?? 0) > (event?.generation ?? 0);
  const moved =
    event?.image !== image.metadata.name || event.dockerImageReference !== image.dockerImageReference;
  if (moved || pending || !specTag(stream, tag)) {
    ensureSpecTag(state, stream, tag, spec, { reset: true });
    const { dockerImageReference } = image;
    addEvent(stream, tag, { dockerImageReference, image: image.metadata.name, generation });
    trackTag(stream, tag);
  }
  const written = specTag(stream, tag);
  if (written) written.importPolicy = importPolicyOf(state, spec);
  delete statusTag(stream, tag)?.conditions;
  for (const object of [...result.manifests, image]) createImage(state, object);
}

function importPolicyOf(state: ClusterState, { importPolicy }: ImportSpec): ImportPolicy {
  return { ...importPolicy, importMode: importPolicy?.importMode || state.defaultImportMode };
}

function ensureSpecTag(
  state: ClusterState,
  stream: ImageStream,
  tag: string,
  spec: ImportSpec,
  { reset }: { readonly reset: boolean },
): void {
  const known = specTag(stream, tag);
  if (known && !reset) return;
  const type = known?.referencePolicy.type || spec.referencePolicy?.type || "Source";
  const importPolicy = importPolicyOf(state, spec);
  const made = normaliseTag(
    {
      name: tag,
      annotations: known?.annotations ?? null,
      from: { kind: "DockerImage", name: spec.from.name },
      generation: 0,
      importPolicy,
      referencePolicy: { type },
    },
    state.defaultImportMode,
  );
  const others = (stream.spec.tags ?? []).filter(({ name }) => name !== tag);
  stream.spec.tags = [...others, made].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Writes only what changed, and only onto the stream that was read before the download. */
export function writeImport(
  state: ClusterState,
  stream: ImageStream,
  old: ImageStream | undefined,
  tags: readonly string[],
): ImageStream {
  const { name, namespace = "" } = stream.metadata;
  const current = findStream(state, namespace, name);
  if (current?.metadata.resourceVersion !== old?.metadata.resourceVersion)
    throw old
      ? conflict("imagestreams", name)
      : conflict("imagestreams", name, "the stream was created meanwhile");
  const changed =
    !old ||
    !isDeepStrictEqual(plain(old.spec), plain(stream.spec)) ||
    !isDeepStrictEqual(plain(old.status), plain(stream.status));
  if (old && !changed && old.metadata.annotations?.[CHECK_ANNOTATION] !== undefined) return old;
  stream.metadata.annotations = { ...stream.metadata.annotations, [CHECK_ANNOTATION]: now() };
  const base = old ?? newStream(namespace, name);
  const made = prepareUpdate(stream, base, contextOf(state), { keepStatus: false });
  made.metadata.generation = Math.max(1, made.metadata.generation ?? 1);
  try {
    enforceLimits(state, made, !old);
  } catch (error) {
    if (old && error instanceof ApiFailure) recordRefusal(state, old, tags, error);
    throw error;
  }
  return commitStream(state, made);
}

/** A limit refuses the whole import. The reason is recorded on the tags of an existing stream. */
function recordRefusal(
  state: ClusterState,
  old: ImageStream,
  tags: readonly string[],
  { reason, message }: ApiFailure,
): void {
  const stream = structuredClone(old);
  const generation = (old.metadata.generation ?? 0) + 1;
  const written = tags.filter((tag) => setCondition(stream, tag, { reason, message, generation }));
  if (written.length > 0) commitStream(state, stream);
}
