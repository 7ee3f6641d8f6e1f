import { type Digest, digestOf, isDigest } from "../../../src/oci/digest.ts";
import { isRepositoryName, isTag } from "../../../src/oci/reference.ts";
import { type Behaviour, WELL_BEHAVED } from "./behaviour.ts";
import { handleBlob } from "./blobs.ts";
import { handleManifest, handleReferrers } from "./manifests.ts";
import {
  collectGarbage,
  createRegistryStore,
  dropManifest,
  missingContent,
  namedContent,
  openRepository,
  readBlob,
  readManifest,
  type RegistryStore,
  type StoredManifest,
  storeBlob,
  storeManifest,
} from "./store.ts";
import { handleTags } from "./tags.ts";
import { handleUpload } from "./uploads.ts";
import {
  type Answer,
  type Awaitable,
  notFound,
  refusal,
  type RegistryRequest,
  slashMissing,
} from "./wire.ts";

/**
 * For registries that differ in more than an option. An Answer always refuses (or replaces the usual
 * answer); undefined goes on.
 */
export type RegistryHooks = {
  authorize(request: RegistryRequest): Awaitable<Answer | undefined>;
  checkRepository(request: RegistryRequest): Awaitable<Answer | undefined>;
  /** Bytes of a blob for HEAD and GET. */
  getBlob(repository: string, digest: Digest, request: RegistryRequest): Awaitable<Uint8Array | undefined>;
  /** Stores a blob whose digest is proven. */
  putBlob(
    repository: string,
    digest: Digest,
    bytes: Uint8Array,
    request: RegistryRequest,
  ): Awaitable<Answer | undefined>;
  mount(
    repository: string,
    digest: Digest,
    from: string | undefined,
    request: RegistryRequest,
  ): Awaitable<boolean>;
  deleteBlob(repository: string, digest: Digest, request: RegistryRequest): Awaitable<boolean>;
  /** By tag or digest. */
  getManifest(
    repository: string,
    reference: string,
    request: RegistryRequest,
  ): Awaitable<StoredManifest | undefined>;
  /** Judges what a manifest names before it is stored. */
  checkManifest(
    repository: string,
    manifest: StoredManifest,
    request: RegistryRequest,
  ): Awaitable<Answer | undefined>;
  /** Stores a manifest, under `tag` when there is one. */
  putManifest(
    repository: string,
    manifest: StoredManifest,
    tag: string | undefined,
    request: RegistryRequest,
  ): Awaitable<Answer | undefined>;
  /** By tag or digest; false when there is none. */
  deleteManifest(repository: string, reference: string, request: RegistryRequest): Awaitable<boolean>;
  /** Undefined: no such repository. */
  listTags(repository: string, request: RegistryRequest): Awaitable<readonly string[] | undefined>;
  /** Manifests of the repository, for the referrers API. */
  listManifests(repository: string, request: RegistryRequest): Awaitable<Iterable<StoredManifest>>;
};

/** What the parts of a registry share. */
export type RegistryContext = {
  readonly store: RegistryStore;
  readonly behaviour: Behaviour;
  readonly hooks: RegistryHooks;
  /** scheme://host:port, for absolute Locations. */
  readonly url: () => string;
  /** Where blobs are redirected to, and how often each address has been used. */
  readonly cdn?: { readonly url: string; readonly uses: Map<string, number> } | undefined;
  /** Reads that still miss what was just written. */
  readonly stale: Map<string, number>;
};

/** Reads and writes the store, as most registries do. */
export function storeHooks(store: RegistryStore, behaviour: Behaviour): RegistryHooks {
  return {
    authorize: () => undefined,
    checkRepository: ({ repository, method, kind }) => {
      if (!isRepositoryName(repository)) return refusal(400, "NAME_INVALID", "invalid repository name");
      const writes = kind === "upload" || (method === "PUT" && kind === "manifest");
      if (behaviour.createRepositories || !writes || store.repositories.has(repository)) return undefined;
      return refusal(404, "NAME_UNKNOWN", "repository name not known to registry", { name: repository });
    },
    getBlob: (repository, digest) => readBlob(store, repository, digest),
    putBlob: (repository, digest, bytes) => {
      storeBlob(store, repository, bytes, digest);
      return undefined;
    },
    mount: (repository, digest, from) => {
      const bytes =
        from === undefined
          ? behaviour.mount === "anywhere"
            ? store.blobs.get(digest)
            : undefined
          : readBlob(store, from, digest);
      if (bytes) storeBlob(store, repository, bytes, digest);
      return bytes !== undefined;
    },
    deleteBlob: (repository, digest) => store.repositories.get(repository)?.blobs.delete(digest) ?? false,
    getManifest: (repository, reference) => readManifest(store, repository, reference),
    checkManifest: (repository, manifest) => checkNamed(store, repository, manifest, behaviour),
    putManifest: (repository, manifest, tag) => {
      storeManifest(store, repository, manifest, tag);
      return undefined;
    },
    deleteManifest: (repository, reference) =>
      isDigest(reference)
        ? dropManifest(store, repository, reference)
        : (store.repositories.get(repository)?.tags.delete(reference) ?? false),
    listTags: (repository) => {
      const stored = store.repositories.get(repository);
      // a repository with only blobs does not exist yet
      return stored?.known ? [...stored.tags.keys()] : undefined;
    },
    listManifests: (repository) => store.repositories.get(repository)?.manifests.values() ?? [],
  };
}

/** Refuses a manifest whose content is not here, naming every missing digest, as docker-registry does. */
function checkNamed(
  store: RegistryStore,
  repository: string,
  { bytes }: StoredManifest,
  { sparseIndex, verifyReferences }: Behaviour,
): Answer | undefined {
  if (!verifyReferences) return undefined;
  const { blobs, children } = namedContent(bytes);
  const missing = [
    ...blobs.filter((digest) => readBlob(store, repository, digest) === undefined),
    ...(sparseIndex ? [] : children.filter((digest) => !readManifest(store, repository, digest))),
  ];
  if (missing.length === 0) return undefined;
  const error = refusal(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
  const errors = missing.map((digest) => ({
    code: "MANIFEST_BLOB_UNKNOWN",
    message: "blob unknown to registry",
    detail: digest,
  }));
  return { ...error, body: Buffer.from(`${JSON.stringify({ errors })}\n`) };
}

/** The distribution API over a store: a function from request to answer, with no socket of its own. */
export function registryHandler(context: RegistryContext): (request: RegistryRequest) => Promise<Answer> {
  return async (request) => {
    const answer = await route(context, request);
    return {
      ...answer,
      headers: { "docker-distribution-api-version": "registry/2.0", ...answer.headers },
    };
  };
}

async function route(context: RegistryContext, request: RegistryRequest): Promise<Answer> {
  const { hooks } = context;
  if (request.kind === "other") return notFound();
  const refused =
    (await hooks.authorize(request)) ??
    (request.kind === "ping" ? undefined : await hooks.checkRepository(request)) ??
    checkWrite(context, request) ??
    checkReference(request);
  if (refused) return refused;
  switch (request.kind) {
    case "ping":
      return request.path === "/v2"
        ? slashMissing(request)
        : { status: 200, headers: { "content-type": "application/json" }, body: Buffer.from("{}") };
    case "tags":
      return handleTags(context, request);
    case "manifest":
      return handleManifest(context, request);
    case "blob":
      return handleBlob(context, request);
    case "upload":
      return handleUpload(context, request);
    case "referrers":
      return handleReferrers(context, request);
    case "token":
    case "cdn":
      return notFound();
  }
}

function checkWrite(
  { behaviour }: RegistryContext,
  { method, headers }: RegistryRequest,
): Answer | undefined {
  if (method === "GET" || method === "HEAD") return undefined;
  if (behaviour.readOnly === 405)
    return refusal(405, "UNSUPPORTED", "The operation is unsupported: read-only");
  if (behaviour.readOnly === 503) return refusal(503, "UNAVAILABLE", "registry is in maintenance: read-only");
  const length = Number(headers["content-length"] ?? 0);
  if (behaviour.bodyLimitBytes === undefined || length <= behaviour.bodyLimitBytes) return undefined;
  return {
    status: 413,
    headers: { "content-type": "text/html", connection: "close" },
    body: Buffer.from("<html><head><title>413 Request Entity Too Large</title></head></html>\n"),
  };
}

function checkReference({ kind, reference }: RegistryRequest): Answer | undefined {
  if (kind === "blob" || kind === "referrers")
    return isDigest(reference) ? undefined : refusal(400, "DIGEST_INVALID", "provided digest did not match");
  if (kind !== "manifest" || isTag(reference) || isDigest(reference)) return undefined;
  return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown", { name: reference });
}

/** What tests do to a registry without a request. */
export type RegistryContents = {
  putBlob(repository: string, bytes: Uint8Array): Digest;
  putManifest(repository: string, bytes: Uint8Array, mediaType: string, tag?: string): Digest;
  tag(repository: string, tag: string, digest: Digest): void;
  untag(repository: string, tag: string): void;
  deleteBlob(repository: string, digest: Digest): void;
  deleteManifest(repository: string, digest: Digest): void;
  collectGarbage(options?: { untagged?: "drop" | "keep" }): void;
  digestOf(repository: string, tag: string): Digest | undefined;
  tags(repository: string): string[];
  hasBlob(repository: string, digest: Digest): boolean;
  /** What is not there of everything below `digest`, itself included. */
  missing(repository: string, digest: Digest): Digest[];
};

export function registryContents(store: RegistryStore): RegistryContents {
  return {
    putBlob: (repository, bytes) => storeBlob(store, repository, bytes),
    putManifest: (repository, bytes, mediaType, tag) => {
      const digest = digestOf(bytes);
      storeManifest(store, repository, { bytes, mediaType, digest }, tag);
      return digest;
    },
    tag: (repository, tag, digest) => {
      const stored = openRepository(store, repository);
      stored.known = true;
      stored.tags.set(tag, digest);
    },
    untag: (repository, tag) => {
      store.repositories.get(repository)?.tags.delete(tag);
    },
    deleteBlob: (repository, digest) => {
      store.repositories.get(repository)?.blobs.delete(digest);
    },
    deleteManifest: (repository, digest) => {
      dropManifest(store, repository, digest);
    },
    collectGarbage: (options) => collectGarbage(store, options),
    digestOf: (repository, tag) => store.repositories.get(repository)?.tags.get(tag),
    tags: (repository) => [...(store.repositories.get(repository)?.tags.keys() ?? [])],
    hasBlob: (repository, digest) => readBlob(store, repository, digest) !== undefined,
    missing: (repository, digest) => missingContent(store, repository, digest),
  };
}

/** A handler with its context. Everything that is not given has a default. */
export function openHandler({
  store = createRegistryStore(),
  behaviour = {},
  hooks = {},
  url = () => "http://registry.invalid",
  cdnUrl,
}: {
  store?: RegistryStore | undefined;
  behaviour?: Partial<Behaviour> | undefined;
  hooks?: Partial<RegistryHooks> | undefined;
  url?: () => string;
  cdnUrl?: string | undefined;
}): { context: RegistryContext; handle: (request: RegistryRequest) => Promise<Answer> } {
  const whole = { ...WELL_BEHAVED, ...behaviour };
  const context: RegistryContext = {
    store,
    behaviour: whole,
    hooks: { ...storeHooks(store, whole), ...hooks },
    url,
    cdn: cdnUrl === undefined ? undefined : { url: cdnUrl, uses: new Map() },
    stale: new Map(),
  };
  return { context, handle: registryHandler(context) };
}
