import type { Mirror } from "../config/config.ts";
import { failureOf, isTagferryError, TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import { mapConcurrently } from "../lib/limit.ts";
import { own } from "../lib/own.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Desired, DesiredTag, Observed } from "../plan/action.ts";
import { isSettled } from "../plan/plan.ts";
import type { Context } from "./context.ts";
import type { SelectedTag, Selection } from "./selection.ts";
import { locationOf } from "./sources.ts";

/** How many tags of one mirror are resolved at once. The registry's own connection limit applies too. */
const RESOLVE_CONCURRENCY = 16;

type ConfirmOptions = Cancellable & { readonly clock: () => Date };

/**
 * Resolves each selected tag once to a digest.
 *
 * This costs one HEAD per tag, and none when the listing gives the digest that is already in place. A tag that cannot
 * be resolved is in the result as failed.
 */
export async function confirmTags(
  mirror: Mirror,
  selection: Selection,
  observed: Observed["tags"],
  context: Pick<Context, "source">,
  options: ConfirmOptions,
): Promise<Desired> {
  const { readAt, explained, listing, failed } = selection;
  const confirm = async (selected: SelectedTag): Promise<DesiredTag> => {
    const { tag, from, hint } = selected;
    const inPlace = own(observed, tag);
    if (hint && inPlace && isSettled(inPlace, hint.digest))
      return { kind: "resolved", tag, from, readAt, image: hint };
    return resolveTag(mirror, selected, context, options);
  };
  const tags = await Array.fromAsync(mapConcurrently(selection.tags, RESOLVE_CONCURRENCY, confirm));
  const order = new Map(selection.tags.map(({ tag }, position) => [tag, position]));
  tags.sort((one, other) => (order.get(one.tag) ?? 0) - (order.get(other.tag) ?? 0));
  return { mirror: mirror.name, readAt, tags: [...tags, ...failed], explained, listing };
}

async function resolveTag(
  mirror: Mirror,
  { tag, from, pinned }: SelectedTag,
  context: Pick<Context, "source">,
  { signal, clock }: ConfirmOptions,
): Promise<DesiredTag> {
  const base = { tag, from, readAt: clock().toISOString() };
  try {
    const source = await context.source(locationOf(mirror, from));
    const image = await source.resolve(from.tag, { signal });
    if (image === undefined) return { kind: "missing", ...base };
    if (pinned !== undefined && pinned !== image.digest) throw notPinned(base, image, pinned);
    return { kind: "resolved", ...base, image };
  } catch (error) {
    signal?.throwIfAborted();
    if (isTagferryError(error, "MANIFEST_UNKNOWN")) return { kind: "missing", ...base };
    return { kind: "failed", ...base, failure: failureOf(error) };
  }
}

function notPinned(
  { from }: Pick<SelectedTag, "from">,
  { digest }: Descriptor,
  pinned: string,
): TagferryError {
  const where = `${from.source}:${from.tag}`;
  return new TagferryError(
    "DIGEST_MISMATCH",
    `${where} no longer has the digest that the configuration pins`,
    {
      where,
      found: digest,
      allowed: pinned,
    },
  );
}
