import type { Mirror, PruneRules } from "../config/config.ts";
import { type Failure, failureOf, TagferryError } from "../errors/error.ts";
import { formatLocation } from "../oci/reference.ts";
import type { Action, Desired, Observed } from "./action.ts";

type Removals = { readonly actions: readonly Action[]; readonly warnings: readonly Failure[] };

/**
 * Plans the removal of tags that we own and no longer want. Removes nothing unless `prune` is set, the listing was
 * complete, and at least one tag is still wanted: an empty result is more likely an error than intended.
 */
export function planRemovals(desired: Desired, observed: Observed, mirror: Mirror, now: Date): Removals {
  const { prune } = mirror;
  const wanted = new Set(desired.tags.map(({ tag }) => tag));
  const ours = Object.entries(observed.tags).filter(([, { owner }]) => owner.kind === "us");
  const trusted = desired.listing === "complete" && desired.tags.some(({ kind }) => kind === "resolved");
  if (!prune || !trusted) return { actions: [], warnings: [] };
  const gone = ours.filter(([tag]) => !wanted.has(tag));
  const due = gone.filter(
    ([, { missingSince }]) => missingSince !== undefined && isOver(missingSince, prune, now),
  );
  const most = mostOf(prune, ours.length);
  const capped = due.length > most;
  const actions = gone.flatMap(([tag, observedTag]): Action[] => {
    const base = {
      mirror: mirror.name,
      tag,
      from: { source: formatLocation(mirror.source), tag },
      readAt: desired.readAt,
    };
    const { missingSince, digest } = observedTag;
    if (missingSince === undefined)
      return [
        {
          kind: "remember",
          ...base,
          missingSince: now.toISOString(),
          reason: `${absence(tag, desired)}: the grace period begins`,
        },
      ];
    if (capped || !isOver(missingSince, prune, now)) return [];
    return [
      {
        kind: "prune",
        ...base,
        ...(digest ? { digest } : {}),
        missingSince,
        reason: `${absence(tag, desired)}, unwanted since ${missingSince}`,
      },
    ];
  });
  return { actions, warnings: capped ? [tooMany(due.length, most, mirror)] : [] };
}

/** Why a tag is no longer wanted: the source does not have it, or a rule drops it. */
function absence(tag: string, { explained }: Desired): string {
  const rule = explained.find((one) => one.tag === tag)?.rule;
  return rule === undefined ? "gone at the source" : `dropped by ${rule}`;
}

function isOver(missingSince: string, { graceMs }: PruneRules, now: Date): boolean {
  const since = Date.parse(missingSince);
  return !Number.isNaN(since) && now.getTime() - since >= graceMs;
}

function mostOf({ atMost }: PruneRules, owned: number): number {
  return atMost.kind === "count"
    ? atMost.count
    : Math.max(owned > 1 ? 1 : 0, Math.floor(owned * atMost.share));
}

function tooMany(due: number, most: number, { name }: Mirror): Failure {
  return failureOf(
    new TagferryError(
      "PRUNE_CAPPED",
      `mirror ${name} would prune ${due} tags, more than the limit of ${most}: none is pruned`,
      { found: due, allowed: most },
    ),
  );
}
