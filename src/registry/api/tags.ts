import { TagferryError } from "../../errors/error.ts";
import { retry } from "../../errors/retry.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import { parseStrictJson } from "../../oci/json.ts";
import { isTag } from "../../oci/reference.ts";
import type { ListedTag } from "../../oci/store.ts";
import { nextPage } from "../http/link-header.ts";
import type { RepositoryClient } from "../repository-client.ts";

const PAGE_MAX_BYTES = 32 * 1024 * 1024;
const TAGS_MAX = 1_000_000;
/** Docker Hub answers with every tag in one body, and takes its time. */
const PAGE_TIMEOUT_MS = 120_000;

/**
 * Every tag of a repository, once each, page by page.
 *
 * A page that is no listing fails the whole of it: half a listing would look like tags that are gone.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
 */
export async function* listTags(
  endpoint: RepositoryClient,
  { signal }: Cancellable = {},
): AsyncGenerator<ListedTag, void, void> {
  const size = endpoint.profile().tagsPageSize;
  const pages = new Set<string>();
  const tags = new Set<string>();
  let url: URL | undefined = endpoint.url(`tags/list${size === undefined ? "" : `?n=${size}`}`);
  while (url) {
    pages.add(url.href);
    const page: Page = await fetchPage(url, endpoint, { signal });
    for (const tag of page.tags) {
      if (tags.has(tag)) continue;
      tags.add(tag);
      if (tags.size > TAGS_MAX)
        throw new TagferryError("TAGS_LIMIT", `${endpoint.name} lists more than ${TAGS_MAX} tags`, {
          where: endpoint.name,
        });
      yield { tag };
    }
    url = nextPage(page.link, url, pages);
  }
}

type Page = { readonly tags: readonly string[]; readonly link: string | string[] | undefined };

/** A body that breaks off (Docker Hub's large ones do) is asked for again. */
function fetchPage(url: URL, endpoint: RepositoryClient, { signal }: Cancellable): Promise<Page> {
  return retry(
    async () => {
      await using answer = await endpoint.requester.ask(
        {
          method: "GET",
          url,
          headers: { accept: "application/json" }, // Artifactory answers 406 to a list of manifest types
          scopes: endpoint.pull,
          subject: { action: "list", what: "tags", where: endpoint.name },
          expect: [200],
          timeoutMs: PAGE_TIMEOUT_MS,
        },
        { signal },
      );
      return {
        tags: readTags(await answer.bytes(PAGE_MAX_BYTES), endpoint.name),
        link: answer.headers["link"],
      };
    },
    { ...endpoint.retry, attempts: 3, signal },
  );
}

const CODES = {
  syntax: "TAGS_INVALID",
  depth: "TAGS_INVALID",
  duplicate: "TAGS_INVALID",
  encoding: "TAGS_INVALID",
} as const;

function readTags(bytes: Uint8Array, name: string): readonly string[] {
  const subject = `the tag listing of ${name}`;
  const json = parseStrictJson(bytes, { subject, codes: CODES });
  const invalid = (found: string): TagferryError =>
    new TagferryError("TAGS_INVALID", `${subject} is not one`, { where: name, found });
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw invalid("no object");
  const tags = (json as { readonly tags?: unknown }).tags ?? [];
  if (!Array.isArray(tags)) throw invalid(`tags: ${typeof tags}`);
  const bad = tags.filter((tag) => typeof tag !== "string" || !isTag(tag));
  if (bad.length > 0)
    throw invalid(
      `${bad.length} of ${tags.length} names are no tags, the first: ${JSON.stringify(bad[0])?.slice(0, 80)}`,
    );
  return tags as string[];
}
