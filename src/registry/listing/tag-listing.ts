import { TagferryError } from "../../errors/error.ts";
import { withRetryBudget } from "../../errors/retry-budget.ts";
import { retry } from "../../errors/retry.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import type { ListedTag } from "../../oci/store.ts";
import { openPageTrail } from "../http/page-trail.ts";
import type { RepositoryClient } from "../repository-client.ts";

/** A way to list the tags of a repository, page by page. Each registry API for listings has one file. */
export type TagListing = {
  /** Any URL at the origin of the registry, not only below /v2/REPOSITORY/. */
  firstPage(client: RepositoryClient): URL;
  /**
   * @throws {TagferryError} TAGS_INVALID when this is not a listing, because tags missing from half a listing would
   *   look deleted
   */
  readPage(bytes: Uint8Array, name: string): ListedPage;
};

export type ListedPage = {
  readonly tags: readonly ListedTag[];
  /** Names that are not valid tags. They are left out and logged. */
  readonly invalid: readonly string[];
};

const PAGE_MAX_BYTES = 32 * 1024 * 1024;
const TAGS_MAX = 1_000_000;

/**
 * Every tag of a repository, each once.
 *
 * @throws {TagferryError} TAGS_INVALID, TAGS_LIMIT (too many tags, pages or empty pages, or too much time),
 *   LINK_FOREIGN, NAME_UNKNOWN, REGISTRY_*
 */
export async function* readListing(
  listing: TagListing,
  client: RepositoryClient,
  { signal }: Cancellable = {},
): AsyncGenerator<ListedTag, void, void> {
  const trail = openPageTrail();
  const seen = new Set<string>();
  let invalid = 0;
  let url: URL | undefined = listing.firstPage(client);
  while (url) {
    const page: FetchedPage = await fetchPage(url, listing, client, { signal });
    const [first] = page.invalid;
    if (first !== undefined && invalid === 0)
      client.log.warn(
        { repository: client.name, found: first.slice(0, 80) },
        "a listed name is no tag; it is left out",
      );
    invalid += page.invalid.length;
    for (const listed of page.tags) {
      if (seen.has(listed.tag)) continue;
      seen.add(listed.tag);
      if (seen.size > TAGS_MAX) throw tooMany(client);
      yield listed;
    }
    url = trail.next(page.link, url, page.tags.length);
  }
  if (seen.size === 0 && invalid > 0)
    throw new TagferryError("TAGS_INVALID", `the tag listing of ${client.name} is not one`, {
      where: client.name,
      found: `${invalid} names, and none of them is a tag`,
    });
}

function tooMany({ name }: RepositoryClient): TagferryError {
  return new TagferryError("TAGS_LIMIT", `${name} lists more than ${TAGS_MAX} tags`, { where: name });
}

type FetchedPage = ListedPage & { readonly link: string | string[] | undefined };

/** Requests the page again when its body breaks off, as large bodies of Docker Hub do. */
function fetchPage(
  url: URL,
  listing: TagListing,
  client: RepositoryClient,
  cancellable: Cancellable,
): Promise<FetchedPage> {
  const { budget, signal } = withRetryBudget(client.retriesMs, cancellable);
  return retry(
    async () => {
      await using answer = await client.requester.ask(
        {
          method: "GET",
          url,
          headers: { accept: "application/json" }, // Artifactory answers 406 to manifest types
          scopes: client.pull,
          subject: { action: "list", what: "tags", where: client.name },
          expect: [200],
          // Docker Hub sends all tags in one body, and needs time before it and for it
          firstByteMs: client.requestMs,
          timeoutMs: 2 * client.requestMs,
        },
        { signal },
      );
      const page = listing.readPage(await answer.bytes(PAGE_MAX_BYTES), client.name);
      return { ...page, link: answer.headers["link"] };
    },
    {
      ...client.retry,
      attempts: 3,
      signal,
      mayRetry: (error, pauseMs) => budget.allows(error, pauseMs),
    },
  );
}
