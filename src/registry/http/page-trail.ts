import { createHash } from "node:crypto";

import { TagferryError } from "../../errors/error.ts";
import { nextPage } from "./link-header.ts";

/** Follows the pages of one answer, and guarantees an end, whatever the registry links to. */
export type PageTrail = {
  /**
   * The URL of the page after `url`, which had `items` items; undefined after the last page.
   *
   * @throws {TagferryError} LINK_FOREIGN; TAGS_LIMIT for a repeated page, too many pages, too many empty pages in a
   *   row, a URL longer than any server accepts, or too much time
   */
  next(link: string | string[] | undefined, url: URL, items: number): URL | undefined;
};

export type TrailLimits = {
  readonly pages: number;
  /** Empty pages in a row. Artifactory and Nexus filter after they split the pages, so some pages are empty. */
  readonly emptyPages: number;
  readonly linkLength: number;
  readonly totalMs: number;
};

const LIMITS: TrailLimits = { pages: 20_000, emptyPages: 100, linkLength: 8_192, totalMs: 15 * 60_000 };

export function openPageTrail(limits: Partial<TrailLimits> = {}): PageTrail {
  const { pages, emptyPages, linkLength, totalMs } = { ...LIMITS, ...limits };
  const startedMs = performance.now();
  /** Stores a hash of each URL, because URLs may be long. */
  const seen = new Set<string>();
  let count = 0;
  let empty = 0;

  return {
    next(link, url, items) {
      count += 1;
      empty = items === 0 ? empty + 1 : 0;
      seen.add(hashOf(url));
      const next = nextPage(link, url);
      if (next === undefined) return undefined;
      if (next.href.length > linkLength) throw endless(url, `an address of ${next.href.length} characters`);
      if (seen.has(hashOf(next))) throw endless(url, "the same page again");
      if (count >= pages) throw endless(url, `${count} pages`);
      if (empty >= emptyPages) throw endless(url, `${empty} empty pages in a row`);
      const tookMs = performance.now() - startedMs;
      if (tookMs > totalMs) throw endless(url, `${Math.round(tookMs / 1000)} s`);
      return next;
    },
  };
}

function endless({ host, pathname }: URL, found: string): TagferryError {
  return new TagferryError("TAGS_LIMIT", `${host}: the listing does not end`, {
    where: `${host}${pathname}`,
    found,
  });
}

function hashOf({ href }: URL): string {
  return createHash("sha1").update(href).digest("base64");
}
