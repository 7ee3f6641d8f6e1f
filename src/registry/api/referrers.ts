import { isTagferryError } from "../../errors/error.ts";
import { type Cancellable, unlessAborted } from "../../lib/cancel.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import { type Manifest, parseManifest } from "../../oci/manifest.ts";
import { OCI_INDEX } from "../../oci/media-type.ts";
import type { Referrer } from "../../oci/store.ts";
import { nextPage } from "../http/link-header.ts";
import type { RepositoryClient } from "../repository-client.ts";
import { getManifest, header, resolveManifest } from "./manifests.ts";
import { fallbackTag } from "./referrers-tag.ts";
import { listTags } from "./tags.ts";

const PAGE_MAX_BYTES = 8 * 1024 * 1024;
const UNSUPPORTED_FOR_MS = 60 * 60_000;
const LISTING_GOOD_FOR_MS = 60_000;
const COSIGN_SUFFIXES = [".sig", ".att", ".sbom"] as const;

/** What a registry is known to support, for all of its repositories. */
export type ReferrersMemory = { apiAbsentUntilMs: number };

/** The tags of one repository that name digests: cosign's, and the fallback of the referrers API. */
export type DigestTags = {
  /** Whether a tag is in the listing; true where there is no listing to look into. */
  mayHave(tag: string, endpoint: RepositoryClient, options?: Cancellable): Promise<boolean>;
  /** A tag was written: when it names a digest, what was listed before is of no use. */
  written(tag: string): void;
};

const DIGEST_TAG = /^sha(?:256|512)-[0-9a-f]{64}/;
/** From here on reading the listing costs more than asking for each tag. */
const LISTING_MAX_TAGS = 5_000;

type Reading = { readonly tags: Promise<ReadonlySet<string> | undefined>; readAtMs: number };

export function openDigestTags(): DigestTags {
  let kept: Reading | undefined;

  /** It belongs to all who wait for it: none of them can abort it for the others. */
  function read(endpoint: RepositoryClient): Promise<ReadonlySet<string> | undefined> {
    const reading: Reading = {
      readAtMs: Infinity,
      tags: readDigestTags(endpoint).finally(() => {
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
    async mayHave(tag, endpoint, { signal } = {}) {
      const good = kept && performance.now() - kept.readAtMs <= LISTING_GOOD_FOR_MS ? kept.tags : undefined;
      const tags = await unlessAborted(good ?? read(endpoint), signal);
      return tags?.has(tag) ?? true;
    },
    written(tag) {
      if (DIGEST_TAG.test(tag)) kept = undefined;
    },
  };
}

export type ReferrersContext = {
  readonly endpoint: RepositoryClient;
  readonly memory: ReferrersMemory;
  readonly digestTags: DigestTags;
};

/**
 * What refers to a manifest: by the referrers API, else by the fallback tag; and cosign's signatures, attestations and SBOMs,
 * which are tags.
 *
 * Costs one request where the API exists, none where a listing of the repository shows no such tag. The listing is read once
 * for all images of a repository; where listings are huge (Docker Hub), the four possible tags are asked for instead.
 */
export async function* readReferrers(
  digest: Digest,
  context: ReferrersContext,
  { signal }: Cancellable = {},
): AsyncGenerator<Referrer, void, void> {
  const seen = new Set<Digest>();
  const viaApi = await fromApi(digest, context, { signal });
  const descriptors = viaApi ?? (await fromFallback(digest, context, { signal }));
  for (const descriptor of descriptors) {
    if (seen.has(descriptor.digest)) continue;
    seen.add(descriptor.digest);
    yield { descriptor };
  }
  for (const suffix of COSIGN_SUFFIXES) {
    const tag = `${fallbackTag(digest)}${suffix}`;
    if (!(await mayExist(tag, context, { signal }))) continue;
    const descriptor = await resolveManifest(tag, context.endpoint, { signal });
    if (descriptor) yield { descriptor, tag };
  }
}

/** undefined: this registry has no such API. A refusal is no such answer, and is thrown. */
async function fromApi(
  digest: Digest,
  { endpoint, memory }: ReferrersContext,
  { signal }: Cancellable,
): Promise<readonly Descriptor[] | undefined> {
  if (endpoint.profile().referrersApi === "never" || performance.now() < memory.apiAbsentUntilMs)
    return undefined;
  const found: Descriptor[] = [];
  const pages = new Set<string>();
  let url: URL | undefined = endpoint.url(`referrers/${digest}`);
  while (url) {
    pages.add(url.href);
    const page: ApiPage | undefined = await apiPage(url, endpoint, { signal });
    if (!page) {
      memory.apiAbsentUntilMs = performance.now() + UNSUPPORTED_FOR_MS;
      return undefined;
    }
    found.push(...page.index.children);
    url = nextPage(page.link, url, pages);
  }
  return found;
}

type ApiPage = { readonly index: Manifest; readonly link: string | string[] | undefined };

async function apiPage(
  url: URL,
  endpoint: RepositoryClient,
  { signal }: Cancellable,
): Promise<ApiPage | undefined> {
  const where = `${endpoint.name} referrers`;
  await using answer = await endpoint.requester.ask(
    {
      method: "GET",
      url,
      headers: { accept: OCI_INDEX },
      scopes: endpoint.pull,
      subject: { action: "pull", what: "referrers", where },
      expect: [200, 400, 404, 405, 406],
    },
    { signal },
  );
  if (answer.status !== 200) return undefined;
  try {
    const index = parseManifest(await answer.bytes(PAGE_MAX_BYTES), {
      contentType: header(answer, "content-type"),
      subject: where,
    });
    return index.kind === "index" ? { index, link: answer.headers["link"] } : undefined;
  } catch (error) {
    // a proxy's page, or a catch-all: the API is not there
    if (isTagferryError(error, "MANIFEST_NOT_JSON", "MANIFEST_EMPTY", "MANIFEST_SHAPE", "MEDIA_TYPE"))
      return undefined;
    throw error;
  }
}

async function fromFallback(
  digest: Digest,
  context: ReferrersContext,
  options: Cancellable,
): Promise<readonly Descriptor[]> {
  const tag = fallbackTag(digest);
  if (!(await mayExist(tag, context, options))) return [];
  try {
    const index = await getManifest(tag, context.endpoint, options);
    return index.kind === "index" ? index.children : [];
  } catch (error) {
    if (isTagferryError(error, "MANIFEST_UNKNOWN", "NAME_UNKNOWN")) return [];
    throw error;
  }
}

/** Whether a tag is in the listing; true where there is no listing to look into. */
async function mayExist(
  tag: string,
  { endpoint, digestTags }: ReferrersContext,
  options: Cancellable,
): Promise<boolean> {
  if (endpoint.profile().cosignTags === "ask") return true;
  return digestTags.mayHave(tag, endpoint, options);
}

/** undefined: there is none to be had, or it is so long that each tag is better asked for. */
async function readDigestTags(endpoint: RepositoryClient): Promise<ReadonlySet<string> | undefined> {
  const tags = new Set<string>();
  let listed = 0;
  try {
    for await (const { tag } of listTags(endpoint)) {
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
