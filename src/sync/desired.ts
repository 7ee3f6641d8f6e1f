import type { Mirror } from "../config/config.ts";
import { failureOf, isTagferryError, TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import { mapConcurrently } from "../lib/limit.ts";
import type { Digest } from "../oci/digest.ts";
import { formatLocation } from "../oci/reference.ts";
import type { ImageSource, ListedTag } from "../oci/store.ts";
import { verified } from "../oci/verified.ts";
import type { Desired, DesiredTag } from "../plan/action.ts";
import { include, narrow, needsDates } from "../plan/select.ts";

/** How many tags of one repository are asked for at once; the registry's own limit on connections stands below it. */
const RESOLVE_CONCURRENCY = 16;
export type DesiredOptions = Cancellable & {
  /** The time that `since` is counted from. */
  readonly now: Date;
  /** Tells when the source was asked. */
  readonly clock?: () => Date;
};

/**
 * Reads what a mirror wants: its tags, selected by its rules, each resolved once to a digest.
 *
 * Costs one HEAD per selected tag, none where the listing already told the digest, and no listing for exact names. A tag
 * that fails stands in the result as failed; a listing that fails fails the mirror, and nothing follows from absence.
 */
export async function findDesired(
  mirror: Mirror,
  source: ImageSource,
  { now, clock = () => new Date(), signal }: DesiredOptions,
): Promise<Desired> {
  const readAt = clock().toISOString();
  const asking = { signal, clock, readAt, from: formatLocation(mirror.source) };
  if (mirror.tags.kind === "exact") {
    const { tags: names, digests } = mirror.tags;
    const tags = await resolveAll(
      names.map((tag) => ({ tag })),
      source,
      { ...asking, digests },
    );
    const explained = names.map((tag) => ({ tag, kept: true, rule: "exact" }));
    return { mirror: mirror.name, readAt, tags, explained, listing: "none" };
  }
  const listed = await Array.fromAsync(source.listing({ signal }));
  const included = include(mirror.tags, listed);
  const { dated, failed } = needsDates(mirror.tags)
    ? await withDates(included.kept, source, asking)
    : { dated: included.kept, failed: [] };
  const narrowed = narrow(mirror.tags, dated, { now });
  const explained = [
    ...included.explained.filter(({ kept }) => !kept),
    ...narrowed.explained,
    ...failed.map(({ tag }) => ({ tag, kept: false, rule: "its date could not be read" })),
  ];
  const tags = [...(await resolveAll(narrowed.kept, source, asking)), ...failed];
  return { mirror: mirror.name, readAt, tags, explained, listing: listingState(listed, failed) };
}

/** A tag whose date is unknown may be one the rules want: then nothing may follow from a tag's absence. */
function listingState(listed: readonly ListedTag[], failed: readonly DesiredTag[]): Desired["listing"] {
  if (failed.length > 0) return "failed";
  return listed.length === 0 ? "empty" : "complete";
}

type Asking = Cancellable & {
  readonly clock: () => Date;
  /** ISO: when the listing began. */
  readonly readAt: string;
  /** The source, as `formatLocation` writes it. */
  readonly from: string;
};
type Resolving = Asking & { readonly digests?: Readonly<Record<string, Digest>> | undefined };

async function resolveAll(
  tags: readonly ListedTag[],
  source: ImageSource,
  options: Resolving,
): Promise<DesiredTag[]> {
  const resolved = await Array.fromAsync(
    mapConcurrently(tags, RESOLVE_CONCURRENCY, (listed) => resolveTag(listed, source, options)),
  );
  const order = new Map(tags.map(({ tag }, position) => [tag, position]));
  return resolved.toSorted((one, other) => (order.get(one.tag) ?? 0) - (order.get(other.tag) ?? 0));
}

async function resolveTag(
  { tag, image: listed }: ListedTag,
  source: ImageSource,
  { digests, signal, clock, readAt, from }: Resolving,
): Promise<DesiredTag> {
  const base = {
    tag,
    from: { source: from, tag },
    readAt: listed ? readAt : clock().toISOString(),
  };
  try {
    const image = listed ?? (await source.resolve(tag, { signal }));
    if (image === undefined) return { kind: "missing", ...base };
    const pinned = digests?.[tag];
    if (pinned !== undefined && pinned !== image.digest)
      throw new TagferryError(
        "DIGEST_MISMATCH",
        `${source.name}:${tag} is no longer what the configuration pins`,
        {
          where: `${source.name}:${tag}`,
          found: image.digest,
          allowed: pinned,
        },
      );
    return { kind: "resolved", ...base, image };
  } catch (error) {
    signal?.throwIfAborted();
    if (isTagferryError(error, "MANIFEST_UNKNOWN")) return { kind: "missing", ...base };
    return { kind: "failed", ...base, failure: failureOf(error) };
  }
}

/** Push dates where the listing has none: the day the image was made, from its config. Two requests a tag, three for an index. */
async function withDates(
  tags: readonly ListedTag[],
  source: ImageSource,
  { signal, readAt, from }: Asking,
): Promise<{ readonly dated: readonly ListedTag[]; readonly failed: readonly DesiredTag[] }> {
  const dated: ListedTag[] = [];
  const failed: DesiredTag[] = [];
  const date = async (listed: ListedTag): Promise<void> => {
    try {
      const pushedAt = listed.pushedAt ?? (await createdAt(listed.tag, source, { signal }));
      dated.push(pushedAt === undefined ? listed : { ...listed, pushedAt });
    } catch (error) {
      signal?.throwIfAborted();
      const { tag } = listed;
      failed.push({
        kind: "failed",
        tag,
        from: { source: from, tag },
        readAt,
        failure: failureOf(error),
      });
    }
  };
  for await (const _ of mapConcurrently(tags, RESOLVE_CONCURRENCY, date));
  return { dated, failed };
}

async function createdAt(
  reference: string,
  source: ImageSource,
  options: Cancellable,
  depth = 0,
): Promise<string | undefined> {
  const manifest = await source.manifest(reference, options);
  const [child] = manifest.children.filter(({ platform }) => platform?.os !== "unknown");
  if (child && depth < 8) return createdAt(child.digest, source, options, depth + 1);
  if (!manifest.config || manifest.config.size > CONFIG_MAX_BYTES) return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of verified(source.blob(manifest.config, options), manifest.config))
    chunks.push(Buffer.from(chunk));
  return createdIn(Buffer.concat(chunks).toString("utf8"));
}

/** Configs are small; a larger one is no image config. */
const CONFIG_MAX_BYTES = 4 * 1024 * 1024;

/** @see https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md (created) */
function createdIn(text: string): string | undefined {
  try {
    const created: unknown = (JSON.parse(text) as { readonly created?: unknown } | null)?.created;
    return typeof created === "string" && !Number.isNaN(Date.parse(created))
      ? new Date(created).toISOString()
      : undefined;
  } catch {
    return undefined; // an artifact's config need not be JSON: it has no date
  }
}
