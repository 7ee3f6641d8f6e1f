import { isDeepStrictEqual } from "node:util";

import { isDigest, digestOf } from "../../src/oci/digest.ts";
import { isIndexType, OCI_ARTIFACT, OCI_MANIFEST, DOCKER_MANIFEST } from "../../src/oci/media-type.ts";
import { ApiFailure, badRequest, conflict, type FieldProblem, invalid, notFound } from "./cluster-failure.ts";
import { createImage, type FetchedManifest, imageObject, readLoosely } from "./cluster-images.ts";
import {
  CHECK_ANNOTATION,
  type ImageObject,
  type ImageStream,
  type ImportPolicy,
  type KubeObject,
  latestEvent,
  now,
  specTag,
  type Status,
  statusTag,
} from "./cluster-objects.ts";
import { type ClusterState, commitStream, contextOf, enforceLimits, findStream } from "./cluster-state.ts";
import {
  addEvent,
  normaliseTag,
  plain,
  prepareUpdate,
  setCondition,
  trackTag,
  whitelistProblem,
} from "./cluster-streams.ts";
import {
  askUpstream,
  findCredentials,
  PlainHttpError,
  splitReference,
  type UpstreamAccess,
  type UpstreamOptions,
} from "./cluster-upstream.ts";

export type ImportSpec = {
  from: { kind: string; name: string };
  to?: { name: string } | undefined;
  importPolicy?: ImportPolicy;
  referencePolicy?: { type?: string };
  includeManifest?: boolean;
};

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

/** What fetching one image came to. */
type Fetched =
  | { readonly kind: "image"; readonly image: ImageObject; readonly manifests: readonly ImageObject[] }
  | { readonly kind: "failed"; readonly code: number; readonly reason: string; readonly message: string };

/** Imports of one POST that a repository import may make; the rest are only named. */
const BULK_MAX = 50;

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
  const written = writeImport(state, stream, old);
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
    if (resourceVersion || uid) throw notFound("imagestreams", name);
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

function resultOf(
  result: Fetched | undefined,
  spec: { to?: { name: string } | undefined } | undefined,
): ImageResult {
  const tag = spec?.to === undefined ? {} : { tag: spec.to.name };
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

type ImportedTag = { readonly spec: ImportSpec; readonly result: Fetched };

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

function accessTo(state: ClusterState, spec: ImportSpec, namespace: string): UpstreamAccess {
  const { host, repository } = splitReference(spec.from.name);
  return {
    host,
    repository,
    insecure: spec.importPolicy?.insecure ?? false,
    credentials: findCredentials(pullSecrets(state, namespace), host, repository),
  };
}

export function pullSecrets(state: ClusterState, namespace: string): KubeObject[] {
  return [...(state.objects.get("/secrets")?.values() ?? [])].filter(
    ({ metadata }) =>
      metadata.namespace === namespace &&
      metadata.annotations?.["openshift.io/image.excludeSecret"] !== "true",
  );
}

/** What an upstream answered becomes a failure of the kind a client has to tell apart. */
class FetchFailure extends Error {
  override readonly name = "FetchFailure";
  readonly code: number;
  readonly reason: string;
  constructor(code: number, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

function failureOf(status: number, body: Buffer, reference: string, access: UpstreamAccess): FetchFailure {
  if (status === 404)
    return new FetchFailure(404, "NotFound", `dockerimage.image.openshift.io "${reference}" not found`);
  if (status === 401)
    return new FetchFailure(
      401,
      "Unauthorized",
      access.credentials
        ? `incorrect username or password for image "${reference}"`
        : `you may not have access to the container image "${reference}" and did not have credentials to the repository`,
    );
  const text = body.toString();
  const known = /"code":\s*"(?<code>[A-Z_]+)"(?:,\s*"message":\s*"(?<message>[^"]*)")?/.exec(text)?.groups;
  const code = { 403: "denied", 429: "toomanyrequests" }[status];
  const words = code ?? (known?.["code"] ?? `unexpected status ${status}`).toLowerCase().replaceAll("_", " ");
  const message = `Internal error occurred: ${reference}: ${words}: ${known?.["message"] ?? text.slice(0, 100)}`;
  return new FetchFailure(500, "InternalError", message);
}

async function attempt<T>(
  reference: string,
  { host }: UpstreamAccess,
  task: () => Promise<T>,
): Promise<T | Extract<Fetched, { kind: "failed" }>> {
  try {
    return await task();
  } catch (error) {
    if (error instanceof FetchFailure)
      return { kind: "failed", code: error.code, reason: error.reason, message: error.message };
    if (error instanceof PlainHttpError)
      return {
        kind: "failed",
        code: 400,
        reason: "BadRequest",
        message: `the repository ${host} is HTTP only and requires the insecure flag to import`,
      };
    const message = error instanceof Error ? error.message : String(error);
    return {
      kind: "failed",
      code: 500,
      reason: "InternalError",
      message: `Internal error occurred: ${reference}: Get "https://${host}/v2/": ${message}`,
    };
  }
}

/** With the namespace's secret; where that is refused, once more as nobody, keeping the first refusal. */
async function fetchImage(
  state: ClusterState,
  spec: ImportSpec,
  namespace: string,
  upstream: UpstreamOptions,
): Promise<Fetched> {
  const reference = spec.from.name;
  const access = accessTo(state, spec, namespace);
  if (upstream.blockedRegistries.includes(access.host))
    return {
      kind: "failed",
      code: 403,
      reason: "Forbidden",
      message: `forbidden: registry ${access.host} blocked`,
    };
  const options = { state, reference, spec, upstream };
  const first = await attempt(reference, access, () => readImage(access, options));
  if (first.kind === "image" || first.code !== 401 || !access.credentials) return first;
  const anonymous = { ...access, credentials: undefined };
  const second = await attempt(reference, anonymous, () => readImage(anonymous, options));
  return second.kind === "image" ? second : first;
}

type ReadOptions = {
  readonly state: ClusterState;
  readonly reference: string;
  readonly spec: ImportSpec;
  readonly upstream: UpstreamOptions;
};

async function readImage(access: UpstreamAccess, options: ReadOptions): Promise<Fetched> {
  const { reference, spec, state } = options;
  const { tag = "latest", digest } = splitReference(reference);
  const name = repositoryOf(reference);
  const top = await readManifest(digest ?? tag, access, options);
  const object = (fetched: FetchedManifest): ImageObject =>
    imageObject(fetched, `${name}@${fetched.digest}`, { managed: false });
  if (!isIndexType(top.mediaType)) return { kind: "image", image: object(top), manifests: [] };
  const children = readLoosely(top.bytes).manifests ?? [];
  const mode = spec.importPolicy?.importMode || state.defaultImportMode;
  if (mode === "PreserveOriginal") {
    const manifests: ImageObject[] = [];
    for (const child of children)
      manifests.push(object(await readManifest(child.digest ?? "", access, options)));
    return { kind: "image", image: object(top), manifests };
  }
  const chosen =
    children.find(({ platform }) => platform?.os === "linux" && platform.architecture === "amd64") ??
    children[0];
  const child = await readManifest(chosen?.digest ?? "", access, options);
  return { kind: "image", image: object(child), manifests: [] };
}

/** As the client spelled it: `nginx` stays `nginx`. */
function repositoryOf(reference: string): string {
  const { tag, digest } = splitReference(reference);
  let name = reference;
  if (digest !== undefined) name = name.slice(0, -(digest.length + 1));
  if (tag !== undefined) name = name.slice(0, -(tag.length + 1));
  return name;
}

async function readManifest(
  wanted: string,
  access: UpstreamAccess,
  { reference, upstream }: ReadOptions,
): Promise<FetchedManifest> {
  const answer = await askUpstream(`manifests/${wanted}`, access, upstream);
  if (answer.status !== 200) throw failureOf(answer.status, answer.body, reference, access);
  const mediaType = (answer.headers["content-type"] ?? "").split(";")[0]?.trim() ?? "";
  const digest = digestOf(answer.body);
  if (isDigest(wanted) && wanted !== digest)
    throw new FetchFailure(
      500,
      "InternalError",
      `Internal error occurred: ${reference}: content does not match digest`,
    );
  if (isIndexType(mediaType)) return { bytes: answer.body, mediaType, digest };
  if (![OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT].includes(mediaType))
    throw new FetchFailure(
      500,
      "InternalError",
      `Internal error occurred: ${reference}: unsupported image manifest type: ${mediaType}`,
    );
  const config = readLoosely(answer.body).config?.digest;
  if (config === undefined) return { bytes: answer.body, mediaType, digest };
  const blob = await askUpstream(`blobs/${config}`, access, upstream);
  if (blob.status !== 200) throw failureOf(blob.status, blob.body, reference, access);
  return { bytes: answer.body, mediaType, digest, config: blob.body };
}

function newStream(namespace: string, name: string): ImageStream {
  return {
    apiVersion: "image.openshift.io/v1",
    kind: "ImageStream",
    metadata: { name, namespace, generation: 0 },
    spec: { lookupPolicy: { local: false } },
    status: { dockerImageRepository: "" },
  };
}

/** The spec tag is made even where the import failed; success overwrites it only when something moved. */
function applyResult(
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
function writeImport(state: ClusterState, stream: ImageStream, old: ImageStream | undefined): ImageStream {
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
  enforceLimits(state, made, !old);
  return commitStream(state, made);
}

/** @throws {ApiFailure} 400 where the body is no ImageStreamImport */
export function parseImport(body: unknown): ImageStreamImport {
  const sent = body as Partial<ImageStreamImport> | null;
  if (typeof sent !== "object" || sent === null || sent.metadata === undefined || sent.spec === undefined)
    throw badRequest("the object provided is unrecognized (must be of type ImageStreamImport)");
  return sent as ImageStreamImport;
}
