import { ApiFailure, badRequest, type FieldProblem, invalid, notFound } from "./failure.ts";
import {
  accessTo,
  attempt,
  BULK_MAX,
  failureOf,
  type Fetched,
  fetchImage,
  type ImportedTag,
  type ImportSpec,
} from "./import-fetch.ts";
import { applyResult, newStream, writeImport } from "./import-write.ts";
import type { ImageObject, ImageStream, Status } from "./objects.ts";
import { type ClusterState, findStream } from "./state.ts";
import { whitelistProblem } from "./stream-rules.ts";
import { askUpstream, splitReference, type UpstreamOptions } from "./upstream.ts";

export type ImageStreamImport = {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; resourceVersion?: string; uid?: string };
  spec: { import: boolean; images?: ImportSpec[]; repository?: ImportSpec };
  status?: ImportStatus;
};

type ImportStatus = {
  import?: ImageStream;
  images?: ImageResult[];
  repository?: { status: Status; images: ImageResult[]; additionalTags?: string[] };
};

type ImageResult = { status: Status; tag?: string; image?: ImageObject; manifests?: ImageObject[] };

/** Runs an ImageStreamImport: fetches manifests and configs, writes metadata, copies no bytes. */
export async function runImport(
  state: ClusterState,
  sent: ImageStreamImport,
  namespace: string,
  upstream: UpstreamOptions,
  { mayBypassWhitelist }: { readonly mayBypassWhitelist: boolean },
): Promise<ImageStreamImport> {
  const { metadata, spec } = sent;
  checkImport(state, sent, mayBypassWhitelist);
  const old = findStream(state, namespace, metadata.name);
  checkVersion(metadata, old);
  const specs = (spec.images ?? []).map((image) => ({ ...image, to: image.to ?? defaultTag(image) }));
  const results: Fetched[] = [];
  for (const image of specs) results.push(await fetchImage(state, image, namespace, upstream));
  const repository = spec.repository && (await importRepository(state, spec.repository, namespace, upstream));
  const status: ImportStatus = {
    ...(spec.images ? { images: results.map((result, at) => resultOf(result, specs[at])) } : {}),
    ...(repository ? { repository: repository.status } : {}),
  };
  if (!spec.import) return { ...sent, status };
  const all = [
    ...specs.map((image, at) => ({ spec: image, result: results[at] })),
    ...(repository?.done ?? []),
  ];
  const stream = old ? structuredClone(old) : newStream(namespace, metadata.name);
  for (const { spec: image, result } of all) {
    if (image.to === undefined || result === undefined) continue;
    applyResult(state, stream, image, image.to.name, result);
  }
  const tags = all.flatMap(({ spec: { to } }) => (to ? [to.name] : []));
  const written = writeImport(state, stream, old, tags);
  return { ...sent, status: { import: written, ...status } };
}

function checkImport(state: ClusterState, { metadata, spec }: ImageStreamImport, bypass: boolean): void {
  const problems: FieldProblem[] = [];
  const all = [
    ...(spec.images ?? []).map((image, at) => ({ image, field: `spec.images[${at}]` })),
    ...(spec.repository ? [{ image: spec.repository, field: "spec.repository" }] : []),
  ];
  if (all.length === 0)
    problems.push({
      field: "",
      reason: "FieldValueRequired",
      message: "you must specify at least one image or a repository import",
    });
  for (const { image, field } of all) {
    const { importMode = "" } = image.importPolicy ?? {};
    if (image.from.kind !== "DockerImage")
      problems.push({
        field: `${field}.from.kind`,
        reason: "FieldValueInvalid",
        message: `Invalid value: "${image.from.kind}": only DockerImage is supported`,
      });
    if (!["", "Legacy", "PreserveOriginal"].includes(importMode))
      problems.push({
        field: `${field}.importPolicy.importMode`,
        reason: "FieldValueInvalid",
        message: `Invalid value: "${importMode}"`,
      });
    const why = bypass ? undefined : whitelistProblem(image.from.name, state.allowedRegistries);
    if (why !== undefined)
      problems.push({ field: `${field}.from.name`, reason: "FieldValueForbidden", message: why });
  }
  const { tag, digest } = splitReference(spec.repository?.from.name ?? "");
  if (tag !== undefined || digest !== undefined)
    problems.push({
      field: "spec.repository.from.name",
      reason: "FieldValueInvalid",
      message: "Invalid value: you must specify an image repository, not a tag or ID",
    });
  if (problems.length > 0) throw invalid("ImageStreamImport", metadata.name, problems);
}

function checkVersion(
  { name, resourceVersion, uid }: ImageStreamImport["metadata"],
  old: ImageStream | undefined,
): void {
  if (!old) {
    if (resourceVersion || uid) throw notFound("imagestreamimports", name);
    return;
  }
  if (uid && uid !== old.metadata.uid) throw notFound("imagestreams", name);
  if (resourceVersion && resourceVersion !== old.metadata.resourceVersion)
    throw staleStream(name, resourceVersion, old.metadata.resourceVersion);
}

function staleStream(name: string, from: string | undefined, to: string | undefined): ApiFailure {
  return new ApiFailure(
    409,
    "Conflict",
    `Operation cannot be fulfilled on imagestream.image.openshift.io "${name}": the image stream was updated from "${from}" to "${to}"`,
    { name, group: "image.openshift.io", kind: "imagestream" },
  );
}

/** A tag in the reference is where the image goes when nothing else is said. */
function defaultTag({ from }: ImportSpec): { name: string } | undefined {
  const { tag } = splitReference(from.name);
  return tag === undefined ? undefined : { name: tag };
}

function resultOf(result: Fetched | undefined, spec: ImportSpec | undefined): ImageResult {
  // the tag of `from`, not of `to`; absent for a digest (reference/openshift.md §11)
  const named = spec && splitReference(spec.from.name).tag;
  const tag = named === undefined ? {} : { tag: named };
  if (result?.kind === "image")
    return {
      status: { metadata: {}, status: "Success" },
      ...tag,
      image: result.image,
      ...(result.manifests.length > 0 ? { manifests: [...result.manifests] } : {}),
    };
  const { code, reason, message } = result ?? { code: 500, reason: "InternalError", message: "not imported" };
  return { status: { metadata: {}, status: "Failure", message, reason, code }, ...tag };
}

async function importRepository(
  state: ClusterState,
  spec: ImportSpec,
  namespace: string,
  upstream: UpstreamOptions,
): Promise<{ status: NonNullable<ImportStatus["repository"]>; done: ImportedTag[] }> {
  const access = accessTo(state, spec, namespace);
  const listed = await attempt(spec.from.name, access, async () => {
    const answer = await askUpstream("tags/list", access, upstream);
    if (answer.status !== 200) throw failureOf(answer.status, answer.body, spec.from.name, access);
    return (JSON.parse(answer.body.toString()) as { tags?: string[] | null }).tags ?? [];
  });
  if (!Array.isArray(listed)) {
    const { code, reason, message } = listed;
    return {
      status: { status: { metadata: {}, status: "Failure", code, reason, message }, images: [] },
      done: [],
    };
  }
  const tags = listed.toSorted((a, b) => (a === "latest" ? -1 : b === "latest" ? 1 : a < b ? 1 : -1));
  const done: ImportedTag[] = [];
  for (const tag of tags.slice(0, BULK_MAX)) {
    const image = { ...spec, from: { ...spec.from, name: `${spec.from.name}:${tag}` }, to: { name: tag } };
    done.push({ spec: image, result: await fetchImage(state, image, namespace, upstream) });
  }
  const failed = done.some(({ result }) => result.kind === "failed");
  const status: Status = failed
    ? {
        metadata: {},
        status: "Failure",
        reason: "ImportFailed",
        message: "one of the images from this repository failed to import",
      }
    : { metadata: {}, status: "Success" };
  return {
    done,
    status: {
      status,
      images: done.map(({ spec: image, result }) => resultOf(result, image)),
      ...(tags.length > BULK_MAX ? { additionalTags: tags.slice(BULK_MAX) } : {}),
    },
  };
}

/** @throws {ApiFailure} 400 where the body is no ImageStreamImport */
export function parseImport(body: unknown): ImageStreamImport {
  const sent = body as Partial<ImageStreamImport> | null;
  if (typeof sent !== "object" || sent === null || sent.metadata === undefined || sent.spec === undefined)
    throw badRequest("the object provided is unrecognized (must be of type ImageStreamImport)");
  return sent as ImageStreamImport;
}
