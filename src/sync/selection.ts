import type { Mirror, TagRules } from "../config/config.ts";
import { failureOf } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import { mapConcurrently } from "../lib/limit.ts";
import { own } from "../lib/own.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { formatLocation } from "../oci/reference.ts";
import type { ImageSource, ListedTag } from "../oci/store.ts";
import type { Desired, DesiredTag, TagSource } from "../plan/action.ts";
import { type Explained, include, narrow, needsDates } from "../plan/select.ts";
import type { Context } from "./context.ts";
import { createdAt } from "./created.ts";
import { type ListedDigestTags, digestTagsIn } from "./proofs/signatures.ts";

/** A tag that the rules of a mirror select. Its digest is not confirmed yet. */
export type SelectedTag = {
  /** The name at the target. */
  readonly tag: string;
  readonly from: TagSource;
  /** The descriptor from the listing. It can save a request, but it never decides what is published. */
  readonly hint?: Descriptor;
  /** The digest that the configuration requires. */
  readonly pinned?: Digest;
};

/** The tags that the rules of a mirror select, and what the listing says about them. */
export type Selection = {
  /** ISO; taken before the first request to the source. */
  readonly readAt: string;
  readonly tags: readonly SelectedTag[];
  /** Tags that the rules could not judge. */
  readonly failed: readonly DesiredTag[];
  readonly explained: readonly Explained[];
  readonly listing: Desired["listing"];
  /** The tags of signatures and other referrers; undefined when no listing was read. */
  readonly digestTags?: ListedDigestTags;
};

export type SelectOptions = Cancellable & {
  /** The time from which `since` is counted. */
  readonly now: Date;
  /** Gives the time at which the source is asked. */
  readonly clock: () => Date;
};

type Rules = Extract<TagRules, { readonly kind: "rules" }>;

/** How many configs of one repository are read at once. */
const DATES_CONCURRENCY = 16;

/**
 * Selects the tags of a mirror by its rules. This costs one listing, and no request for exact names. Configs are read
 * only where a rule needs dates and the listing has none.
 */
export async function selectTags(
  mirror: Mirror,
  context: Pick<Context, "source">,
  options: SelectOptions,
): Promise<Selection> {
  const readAt = options.clock().toISOString();
  const { tags, source } = mirror;
  const from = formatLocation(source);
  if (tags.kind === "exact") {
    const { digests } = tags;
    return {
      readAt,
      tags: tags.tags.map((tag) => {
        const pinned = digests && own(digests, tag);
        return { tag, from: { source: from, tag }, ...(pinned === undefined ? {} : { pinned }) };
      }),
      failed: [],
      explained: tags.tags.map((tag) => ({ tag, kept: true, rule: "exact" })),
      listing: "none",
    };
  }
  return selectByRules(tags, await context.source(source), { ...options, from, readAt });
}

async function selectByRules(
  rules: Rules,
  source: ImageSource,
  { now, signal, from, readAt }: SelectOptions & { readonly from: string; readonly readAt: string },
): Promise<Selection> {
  const listed = await Array.fromAsync(source.listing({ signal }));
  const included = include(rules, listed);
  const { dated, undated } = needsDates(rules)
    ? await withDates(included.kept, source, { signal })
    : { dated: included.kept, undated: [] };
  const narrowed = narrow(rules, dated, { now });
  const failed = undated.map(({ tag, error }): DesiredTag => {
    return { kind: "failed", tag, from: { source: from, tag }, readAt, failure: failureOf(error) };
  });
  return {
    readAt,
    tags: narrowed.kept.map(({ tag, image }) => {
      return { tag, from: { source: from, tag }, ...(image ? { hint: image } : {}) };
    }),
    failed,
    explained: [
      ...included.explained.filter(({ kept }) => !kept),
      ...narrowed.explained,
      ...failed.map(({ tag }) => ({ tag, kept: false, rule: "its date could not be read" })),
    ],
    listing: listingState(listed, failed),
    digestTags: digestTagsIn(listed),
  };
}

/** When the date of a tag is unknown, the rules might select it. Then the absence of a tag proves nothing. */
function listingState(listed: readonly ListedTag[], failed: readonly DesiredTag[]): Desired["listing"] {
  if (failed.length > 0) return "failed";
  return listed.length === 0 ? "empty" : "complete";
}

type Undated = { readonly tag: string; readonly error: unknown };

/**
 * Where the listing has no push dates, uses the date on which the image was created. Two requests per tag, three for an
 * index.
 */
async function withDates(
  tags: readonly ListedTag[],
  source: ImageSource,
  { signal }: Cancellable,
): Promise<{ readonly dated: readonly ListedTag[]; readonly undated: readonly Undated[] }> {
  const dated: ListedTag[] = [];
  const undated: Undated[] = [];
  const date = async (listed: ListedTag): Promise<void> => {
    try {
      const pushedAt = listed.pushedAt ?? (await createdAt(listed.tag, source, { signal }));
      dated.push(pushedAt === undefined ? listed : { ...listed, pushedAt });
    } catch (error) {
      signal?.throwIfAborted();
      undated.push({ tag: listed.tag, error });
    }
  };
  for await (const _ of mapConcurrently(tags, DATES_CONCURRENCY, date));
  return { dated, undated };
}
