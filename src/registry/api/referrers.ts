import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { withRetryBudget } from "../../errors/retry-budget.ts";
import { retry } from "../../errors/retry.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import { type Manifest, parseManifest } from "../../oci/manifest.ts";
import { OCI_INDEX } from "../../oci/media-type.ts";
import type { Referrer, ReferrersOptions } from "../../oci/store.ts";
import { openPageTrail } from "../http/page-trail.ts";
import type { RepositoryClient } from "../repository-client.ts";
import type { DigestTags, Listed } from "./digest-tags.ts";
import { getManifest, header, resolveManifest } from "./manifests.ts";
import { fallbackTag } from "./referrers-tag.ts";

const PAGE_MAX_BYTES = 8 * 1024 * 1024;
/** How often a request is repeated when the answer is not an index. */
const QUESTIONS_MAX = 3;
const COSIGN_SUFFIXES = [".sig", ".att", ".sbom"] as const;

export type ReferrersContext = {
  readonly client: RepositoryClient;
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
 * @throws {TagferryError} REFERRERS_INVALID when the answer is not an index (garbage, a page, 400), or when the listing
 *   names a tag that is not there, even after repeated requests
 */
export async function* readReferrers(
  digest: Digest,
  context: ReferrersContext,
  asked: ReferrersOptions = {},
): AsyncGenerator<Referrer, void, void> {
  const seen = new Set<Digest>();
  const viaApi = await repeated((options) => fromApi(digest, context, options), context, asked);
  const descriptors =
    viaApi && viaApi.length > 0
      ? viaApi
      : await repeated((options) => fromFallback(digest, context, options), context, asked);
  for (const descriptor of descriptors) {
    if (seen.has(descriptor.digest)) continue;
    seen.add(descriptor.digest);
    yield { descriptor };
  }
  for (const suffix of COSIGN_SUFFIXES) {
    const tag = `${fallbackTag(digest)}${suffix}`;
    const descriptor = await repeated((options) => fromCosignTag(tag, context, options), context, asked);
    if (descriptor) yield { descriptor, tag };
  }
}

/** Repeats one question within one retry budget, so that a silent registry is not asked again by each layer. */
async function repeated<T>(
  question: (options: ReferrersOptions) => Promise<T>,
  { client }: ReferrersContext,
  { occasion, ...cancellable }: ReferrersOptions,
): Promise<T> {
  const { budget, signal } = withRetryBudget(client.retriesMs, cancellable);
  return retry(() => question({ occasion, signal }), {
    ...client.retry,
    attempts: QUESTIONS_MAX,
    signal,
    mayRetry: (error, pauseMs) => budget.allows(error, pauseMs),
  });
}

/** undefined: this repository does not have the API. Every other answer that is not an index is thrown as an error. */
async function fromApi(
  digest: Digest,
  { client }: ReferrersContext,
  { signal }: Cancellable,
): Promise<readonly Descriptor[] | undefined> {
  const api = client.observations.referrersApi(client.repository);
  if (api.absence() !== undefined) return undefined;
  const found: Descriptor[] = [];
  const trail = openPageTrail({ pages: 1_000, emptyPages: 3 });
  let url: URL | undefined = client.url(`referrers/${digest}`);
  while (url) {
    const page: ApiPage | undefined = await apiPage(url, client, { signal });
    if (!page) {
      // a registry that has the API never answers 404, but a proxy in front of it may do so for a moment
      if (api.isPresent() || (await apiPage(url, client, { signal })))
        throw invalid(client, "404 from a registry that has a referrers API");
      api.absent(`404 to ${url.pathname}`);
      return undefined;
    }
    api.present();
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
  options: ReferrersOptions,
): Promise<readonly Descriptor[]> {
  const tag = fallbackTag(digest);
  const listed = await listedAs(tag, context, options);
  if (listed === "no") return [];
  try {
    const index = await getManifest(tag, context.client, options);
    return index.kind === "index" ? index.children : [];
  } catch (error) {
    if (!isTagferryError(error, "MANIFEST_UNKNOWN", "NAME_UNKNOWN")) throw asInvalid(error, context.client);
    if (listed === "yes") throw contradiction(tag, context);
    return [];
  }
}

/**
 * The referrer under a cosign tag. When the listing names the tag and HEAD does not find it, GET decides: signatures
 * are never lost because of one wrong answer.
 */
async function fromCosignTag(
  tag: string,
  context: ReferrersContext,
  options: ReferrersOptions,
): Promise<Descriptor | undefined> {
  const { client } = context;
  const listed = await listedAs(tag, context, options);
  if (listed === "no") return undefined;
  const found = await resolveManifest(tag, client, options);
  if (found || listed === "unknown") return found;
  client.observations.head.doubted();
  try {
    return (await getManifest(tag, client, options)).descriptor;
  } catch (error) {
    if (isTagferryError(error, "MANIFEST_UNKNOWN", "NAME_UNKNOWN")) throw contradiction(tag, context);
    throw error;
  }
}

/** The tag may have been deleted since the listing was read, so the next attempt reads the listing again. */
function contradiction(tag: string, { client, digestTags }: ReferrersContext): TagferryError {
  digestTags.forget();
  return new TagferryError(
    "REFERRERS_INVALID",
    `${client.name}: the listing names ${tag}, but it is not there`,
    {
      where: `${client.name}:${tag}`,
      found: "404",
    },
  );
}

/** What the listing says about a tag. */
async function listedAs(
  tag: string,
  { client, digestTags }: ReferrersContext,
  options: ReferrersOptions,
): Promise<Listed> {
  if (client.profile().cosignTags === "ask") return "unknown";
  return digestTags.isListed(tag, client, options);
}
