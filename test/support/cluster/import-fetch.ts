import { digestOf, isDigest } from "../../../src/oci/digest.ts";
import { DOCKER_MANIFEST, isIndexType, OCI_ARTIFACT, OCI_MANIFEST } from "../../../src/oci/media-type.ts";
import { ApiFailure, invalid } from "./failure.ts";
import { type FetchedManifest, imageObject, readLoosely } from "./images.ts";
import type { ImageObject, ImportPolicy, KubeObject } from "./objects.ts";
import type { ClusterState } from "./state.ts";
import {
  askUpstream,
  findCredentials,
  PlainHttpError,
  splitReference,
  type UpstreamAccess,
  type UpstreamOptions,
} from "./upstream.ts";

export type ImportSpec = {
  from: { kind: string; name: string };
  to?: { name: string } | undefined;
  importPolicy?: ImportPolicy;
  referencePolicy?: { type?: string };
  includeManifest?: boolean;
};

/** The result of fetching one image. */
export type Fetched =
  | { readonly kind: "image"; readonly image: ImageObject; readonly manifests: readonly ImageObject[] }
  | { readonly kind: "failed"; readonly code: number; readonly reason: string; readonly message: string };

/** The number of images that one repository import fetches. The others are only listed. */
export const BULK_MAX = 50;

export type ImportedTag = { readonly spec: ImportSpec; readonly result: Fetched };

export function accessTo(state: ClusterState, spec: ImportSpec, namespace: string): UpstreamAccess {
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

/** An answer of an upstream, as a failure of the kind that a client has to recognize. */
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

export function failureOf(
  status: number,
  body: Buffer,
  reference: string,
  access: UpstreamAccess,
): FetchFailure {
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

export async function attempt<T>(
  reference: string,
  { host }: UpstreamAccess,
  task: () => Promise<T>,
): Promise<T | Extract<Fetched, { kind: "failed" }>> {
  try {
    return await task();
  } catch (error) {
    if (error instanceof ApiFailure) throw error; // of the request as a whole
    if (error instanceof FetchFailure)
      return { kind: "failed", code: error.code, reason: error.reason, message: error.message };
    if (error instanceof PlainHttpError)
      return {
        kind: "failed",
        // reference/openshift.md §11
        code: 500,
        reason: "InternalError",
        message: `Internal error occurred: ${reference}: Get "https://${host}/v2/": http: server gave HTTP response to HTTPS client`,
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

/** Uses the namespace's secret. If it is refused, tries again anonymously, but keeps the first refusal. */
export async function fetchImage(
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
    checkPlatforms(top.digest, children);
    const manifests: ImageObject[] = [];
    for (const child of children) {
      const fetched = await readManifest(child.digest ?? "", access, options);
      // one nested index fails the whole request, with all other images in it
      if (isIndexType(fetched.mediaType))
        throw invalid("Image", top.digest, [
          { field: "dockerImageManifests", reason: "FieldValueInvalid", message: "Invalid value: nested" },
        ]);
      manifests.push(object(fetched));
    }
    return { kind: "image", image: object(top), manifests };
  }
  const chosen =
    children.find(({ platform }) => platform?.os === "linux" && platform.architecture === "amd64") ??
    children[0];
  const child = await readManifest(chosen?.digest ?? "", access, options);
  return { kind: "image", image: object(child), manifests: [] };
}

/** An entry without a platform fails this image alone, with 422. (§11) */
function checkPlatforms(digest: string, children: readonly { readonly platform?: object }[]): void {
  const position = children.findIndex(({ platform }) => platform === undefined);
  if (position === -1) return;
  const field = `dockerImageManifests[${position}].architecture`;
  const message = `Image.image.openshift.io "${digest}" is invalid: ${field}: Required value`;
  throw new FetchFailure(422, "Invalid", message);
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
  checkConfig(blob.body);
  return { bytes: answer.body, mediaType, digest, config: blob.body };
}

/** A config that is not JSON fails the image with the words of Go's decoder. (§11) */
function checkConfig(config: Buffer): void {
  try {
    JSON.parse(config.toString());
  } catch {
    const first = config.toString().slice(0, 1);
    const message = `Internal error occurred: invalid character '${first}' looking for beginning of value`;
    throw new FetchFailure(500, "InternalError", message);
  }
}
