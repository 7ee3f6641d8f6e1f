import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { retry } from "../../errors/retry.ts";
import { type Cancellable, unlessAborted } from "../../lib/cancel.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import { type Manifest, parseManifest } from "../../oci/manifest.ts";
import { OCI_INDEX } from "../../oci/media-type.ts";
import type { Referrer } from "../../oci/store.ts";
import { openPageTrail } from "../http/page-trail.ts";
import type { RepositoryClient } from "../repository-client.ts";
import { getManifest, header, resolveManifest } from "./manifests.ts";
import { fallbackTag } from "./referrers-tag.ts";
import { listTags } from "./tags.ts";

const PAGE_MAX_BYTES = 8 * 1024 * 1024;
/** How often a request is repeated when the answer is not an index. */
const QUESTIONS_MAX = 3;
const UNSUPPORTED_FOR_MS = 60 * 60_000;
const LISTING_GOOD_FOR_MS = 60_000;
const COSIGN_SUFFIXES = [".sig", ".att", ".sbom"] as const;

/**
 * Whether a repository has the referrers API, as far as known. Until `absentUntilMs` (`performance.now()`) the API
 * counts as absent; `reason` says why. `isPresent`: the API answered before, so a 404 is a failure and does not mean
 * absence.
 */
export type ReferrersMemory = { absentUntilMs: number; reason: string | undefined; isPresent: boolean };

export function openReferrersMemory(): ReferrersMemory {
  return { absentUntilMs: 0, reason: undefined, isPresent: false };
}

/** The tags of one repository that contain digests: cosign's tags, and the fallback tags of the referrers API. */
export type DigestTags = {
  /** Whether the listing contains a tag; true when no listing can be read. */
  mayHave(tag: string, client: RepositoryClient, options?: Cancellable): Promise<boolean>;
  /** Call this after a tag was written. If it contains a digest, the listing is read again. */
  written(tag: string): void;
};

const DIGEST_TAG = /^sha(?:256|512)-[0-9a-f]{64}/;
/** For longer listings, separate requests for each tag cost less. */
const LISTING_MAX_TAGS = 5_000;

type Reading = { readonly tags: Promise<ReadonlySet<string> | undefined>; readAtMs: number };

export function openDigestTags(): DigestTags {
  let kept: Reading | undefined;

  /** All waiting callers share this read, so no caller can abort it for the others. */
  function read(client: RepositoryClient): Promise<ReadonlySet<string> | undefined> {
    const reading: Reading = {
      readAtMs: Infinity,
      tags: readDigestTags(client).finally(() => {
        reading.readAtMs = performance.now();
      }),
    };
    kept = reading;
    reading.tags.catch(() => {
      if (kept === reading) kept = undefined;
    });
    return reading.tags;
  }

  return {
    async mayHave(tag, client, { signal } = {}) {
      const good = kept && performance.now() - kept.readAtMs <= LISTING_GOOD_FOR_MS ? kept.tags : undefined;
      const tags = await unlessAborted(good ?? read(client), signal);
      return tags?.has(tag) ?? true;
    },
    written(tag) {
      if (DIGEST_TAG.test(tag)) kept = undefined;
    },
  };
}

export type ReferrersContext = {
  readonly client: RepositoryClient;
  readonly memory: ReferrersMemory;
  readonly digestTags: DigestTags;
};

/**
 * Yields the referrers of a manifest: from the referrers API, otherwise from the fallback tag; and cosign's signatures,
 * attestations and SBOMs, which are tags.
 *
 * This costs one request where the API exists, and none where the listing of the repository has no such tag. The
 * listing is read once for all images of a repository. Where listings are huge (Docker Hub), the four possible tags are
 * requested instead. An empty answer of the API does not exclude a fallback tag: Harbor's pull-through projects always
 * answer with an empty list.
 *
 * @throws {TagferryError} REFERRERS_INVALID when the answer is not an index (garbage, a page, 400), even after repeated
 *   requests
 */
export async function* readReferrers(
  digest: Digest,
  context: ReferrersContext,
  { signal }: Cancellable = {},
): AsyncGenerator<Referrer, void, void> {
  const seen = new Set<Digest>();
  const options = { ...context.client.retry, attempts: QUESTIONS_MAX, signal };
  const viaApi = await retry(() => fromApi(digest, context, { signal }), options);
  const descriptors =
    viaApi && viaApi.length > 0
      ? viaApi
      : await retry(() => fromFallback(digest, context, { signal }), options);
  for (const descriptor of descriptors) {
    if (seen.has(descriptor.digest)) continue;
    seen.add(descriptor.digest);
    yield { descriptor };
  }
  for (const suffix of COSIGN_SUFFIXES) {
    const tag = `${fallbackTag(digest)}${suffix}`;
    if (!(await mayExist(tag, context, { signal }))) continue;
    const descriptor = await resolveManifest(tag, context.client, { signal });
    if (descriptor) yield { descriptor, tag };
  }
}

/** undefined: this repository does not have the API. Every other answer that is not an index is thrown as an error. */
async function fromApi(
  digest: Digest,
  { client, memory }: ReferrersContext,
  { signal }: Cancellable,
): Promise<readonly Descriptor[] | undefined> {
  if (client.profile().referrersApi === "never" || performance.now() < memory.absentUntilMs) return undefined;
  const found: Descriptor[] = [];
  const trail = openPageTrail({ pages: 1_000, emptyPages: 3 });
  let url: URL | undefined = client.url(`referrers/${digest}`);
  while (url) {
    const page: ApiPage | undefined = await apiPage(url, client, { signal });
    if (!page) {
      // a registry that has the API never answers 404, but a proxy in front of it may do so for a moment
      if (memory.isPresent || (await apiPage(url, client, { signal })))
        throw invalid(client, "404 from a registry that has a referrers API");
      memory.absentUntilMs = performance.now() + UNSUPPORTED_FOR_MS;
      memory.reason = `404 to ${url.pathname}`;
      return undefined;
    }
    memory.isPresent = true;
    found.push(...page.index.children);
    url = trail.next(page.link, url, page.index.children.length);
  }
  return found;
}

function invalid({ name }: RepositoryClient, found: string, cause?: unknown): TagferryError {
  return new TagferryError("REFERRERS_INVALID", `${name}: the answer about referrers is not an index`, {
    where: `${name} referrers`,
    found,
    cause,
  });
}

/** Converts the errors that `parseManifest` throws for a page, garbage or half a document. */
function asInvalid(error: unknown, client: RepositoryClient): unknown {
  return isTagferryError(error) &&
    error.code !== "MANIFEST_UNKNOWN" &&
    /^(?:MANIFEST_|MEDIA_TYPE|DIGEST_|DESCRIPTOR_|HTTP_PROTOCOL)/.test(error.code)
    ? invalid(client, error.message, error)
    : error;
}

type ApiPage = { readonly index: Manifest; readonly link: string | string[] | undefined };

/** Reads one page; undefined: 404. */
async function apiPage(
  url: URL,
  client: RepositoryClient,
  { signal }: Cancellable,
): Promise<ApiPage | undefined> {
  const where = `${client.name} referrers`;
  await using answer = await client.requester.ask(
    {
      method: "GET",
      url,
      headers: { accept: OCI_INDEX },
      scopes: client.pull,
      subject: { action: "pull", what: "referrers", where },
      expect: [200, 400, 404, 405, 406],
    },
    { signal },
  );
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw invalid(client, `status ${answer.status}`);
  try {
    const index = parseManifest(await answer.bytes(PAGE_MAX_BYTES), {
      contentType: header(answer, "content-type"),
      subject: where,
    });
    if (index.kind === "index") return { index, link: answer.headers["link"] };
  } catch (error) {
    throw asInvalid(error, client);
  }
  throw invalid(client, "an image manifest");
}

async function fromFallback(
  digest: Digest,
  context: ReferrersContext,
  options: Cancellable,
): Promise<readonly Descriptor[]> {
  const tag = fallbackTag(digest);
  if (!(await mayExist(tag, context, options))) return [];
  try {
    const index = await getManifest(tag, context.client, options);
    return index.kind === "index" ? index.children : [];
  } catch (error) {
    if (isTagferryError(error, "MANIFEST_UNKNOWN", "NAME_UNKNOWN")) return [];
    throw asInvalid(error, context.client);
  }
}

/** Whether the listing contains a tag; true when no listing can be read. */
async function mayExist(
  tag: string,
  { client, digestTags }: ReferrersContext,
  options: Cancellable,
): Promise<boolean> {
  if (client.profile().cosignTags === "ask") return true;
  return digestTags.mayHave(tag, client, options);
}

/** undefined: the listing is refused, or so long that separate requests for each tag cost less. */
async function readDigestTags(client: RepositoryClient): Promise<ReadonlySet<string> | undefined> {
  const tags = new Set<string>();
  let listed = 0;
  try {
    for await (const { tag } of listTags(client)) {
      listed += 1;
      if (listed > LISTING_MAX_TAGS) return undefined;
      if (DIGEST_TAG.test(tag)) tags.add(tag);
    }
    return tags;
  } catch (error) {
    if (isTagferryError(error, "NAME_UNKNOWN", "AUTH_DENIED", "DENIED", "REQUEST_REJECTED", "TAGS_INVALID"))
      return undefined;
    throw error;
  }
}
