import type { Mirror } from "../config/config.ts";
import { TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import { own } from "../lib/own.ts";
import type { Change } from "../plan/action.ts";
import type { Context } from "./context.ts";
import { locationOf } from "./sources.ts";

/** How long an answer of a source is valid. For a later publication the source is asked again. */
const GOOD_FOR_MS = 5_000;

export type Confirm = (change: Change, options?: Cancellable) => Promise<void>;

/**
 * Before a tag is published, asks the source again if its last answer is older than a few seconds. So an older image is
 * never published after a newer one. A tag with a pinned digest cannot change and is not asked again.
 *
 * @throws {TagferryError} SOURCE_MOVED, and the errors of the source
 */
export function openConfirm(mirror: Mirror, context: Pick<Context, "source">, clock: () => Date): Confirm {
  const askedMs = new Map<string, number>();
  return async (change, { signal } = {}) => {
    const { tag, from, image } = change;
    if (isPinned(mirror, from.tag)) return;
    const nowMs = clock().getTime();
    const ageMs = nowMs - (askedMs.get(tag) ?? Date.parse(change.readAt));
    // a negative age means that the clock was set back: ask again
    if (ageMs >= 0 && ageMs <= GOOD_FOR_MS) return;
    const source = await context.source(locationOf(mirror, from));
    const found = await source.resolve(from.tag, { signal });
    if (found?.digest !== image.digest) throw moved(change, found?.digest);
    askedMs.set(tag, nowMs);
  };
}

function isPinned({ tags }: Mirror, tag: string): boolean {
  return tags.kind === "exact" && tags.digests !== undefined && own(tags.digests, tag) !== undefined;
}

function moved({ from, image }: Change, found: string | undefined): TagferryError {
  const where = `${from.source}:${from.tag}`;
  return new TagferryError(
    "SOURCE_MOVED",
    `${where} moved at the source after it was read; nothing was published`,
    {
      where,
      found: found ?? "no such tag",
      allowed: image.digest,
    },
  );
}
