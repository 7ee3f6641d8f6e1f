import type { Mirror } from "../config/config.ts";
import { targetName } from "../config/target-name.ts";
import { type Failure, failureOf, TagferryError } from "../errors/error.ts";
import { own } from "../lib/own.ts";
import type { Digest } from "../oci/digest.ts";
import { formatLocation } from "../oci/reference.ts";
import type {
  Action,
  ActionBase,
  Desired,
  DesiredTag,
  Observed,
  ObservedTag,
  Plan,
  TagSource,
} from "./action.ts";
import { planRemovals } from "./prune.ts";

export type PlanOptions = { readonly now: Date };

/**
 * Decides what to do from the wanted and the current state. Pure: no promises, no clock.
 *
 * A tag is in place when digest and location match and we own it. A tag of another owner is refused. A tag without an
 * owner is taken only when it does not exist, when `takeover` is set, or when a push already put the wanted image there
 * (a run of ours was interrupted before it recorded the tag).
 */
export function plan(desired: Desired, observed: Observed, mirror: Mirror, { now }: PlanOptions): Plan {
  const wanted = desired.tags.map((tag) => actionFor(tag, own(observed.tags, tag.tag), mirror));
  const removal = planRemovals(desired, observed, mirror, now);
  const warnings = [...emptyRules(desired, mirror), ...removal.warnings];
  return { mirror: mirror.name, actions: [...wanted, ...removal.actions], warnings };
}

function actionFor(desired: DesiredTag, observed: ObservedTag | undefined, mirror: Mirror): Action {
  const base = baseOf(desired, mirror);
  switch (desired.kind) {
    case "failed":
      return { kind: "refuse", ...base, failure: desired.failure };
    case "missing":
      return { kind: "refuse", ...base, failure: missingAtSource(desired.from) };
    case "resolved": {
      const failure = observed && refusal(observed, desired.image.digest, mirror, desired.tag);
      if (failure) return { kind: "refuse", ...base, failure };
      return publishing(desired, observed ?? { inPlace: false, owner: { kind: "free" } }, mirror);
    }
  }
}

function baseOf({ tag, from, readAt }: DesiredTag, { name }: Mirror): ActionBase {
  return { mirror: name, tag, from, readAt };
}

function publishing(
  desired: Extract<DesiredTag, { readonly kind: "resolved" }>,
  observed: ObservedTag,
  mirror: Mirror,
): Action {
  const base = baseOf(desired, mirror);
  const { image } = desired;
  const { digest, inPlace, owner, importsFrom } = observed;
  const same = digest === image.digest;
  // a spec tag that imports must be removed, or it restores the old image
  const takeover = importsFrom !== undefined;
  if (isSettled(observed, image.digest))
    return observed.missingSince === undefined
      ? { kind: "keep", ...base, digest: image.digest, reason: "in place", ...sinceOf(observed) }
      : { kind: "remember", ...base, reason: "back at the source: the grace period ends" };
  if (digest === undefined)
    return {
      kind: "create",
      ...base,
      image,
      takeover,
      reason: takeover ? `takes over ${importsFrom}` : "new",
    };
  return {
    kind: "update",
    ...base,
    image,
    takeover,
    ...(same ? {} : { replaces: digest }),
    reason: updateReason({ same, inPlace, takeover, importsFrom, owned: owner.kind === "us" }),
  };
}

function sinceOf({ since }: ObservedTag): { readonly since?: string } {
  return since === undefined ? {} : { since };
}

/** Whether a tag has the right digest and location, and is ours. Then nothing is published. */
export function isSettled({ digest, inPlace, owner, importsFrom }: ObservedTag, wanted: Digest): boolean {
  return digest === wanted && inPlace && importsFrom === undefined && owner.kind === "us";
}

function updateReason(state: {
  readonly same: boolean;
  readonly inPlace: boolean;
  readonly takeover: boolean;
  readonly importsFrom: string | undefined;
  readonly owned: boolean;
}): string {
  if (state.takeover) return `takes over ${state.importsFrom}`;
  if (!state.same) return "moved at the source";
  if (!state.inPlace) return "the right digest, but stored elsewhere";
  return state.owned ? "in place" : "up to date, but not owned yet";
}

/** Why a tag must not be changed. */
function refusal(observed: ObservedTag, wanted: Digest, mirror: Mirror, tag: string): Failure | undefined {
  const { owner, follows, contestedBy } = observed;
  const where = `${targetName(mirror.target)}:${tag}`;
  if (owner.kind === "other")
    return failureOf(
      new TagferryError(
        "STREAM_OWNED",
        `${where} belongs to mirror ${owner.mirror} of installation ${owner.installation}`,
        {
          where,
          found: `${owner.installation}/${owner.mirror}`,
          allowed: mirror.name,
        },
      ),
    );
  if (follows !== undefined)
    return failureOf(
      new TagferryError("STREAM_TAG_KIND", `${where} follows ${follows}`, { where, found: follows }),
    );
  if (contestedBy !== undefined)
    return failureOf(
      new TagferryError("STREAM_CONTESTED", `the spec tag of ${where} came back after it was taken over`, {
        where,
        found: `written by ${contestedBy}`,
      }),
    );
  if (owner.kind !== "unowned" || mirror.takeover) return undefined;
  // pushed but not recorded: by an interrupted run of ours, or by someone who pushed the same image
  if (owner.importsFrom === undefined && observed.digest === wanted && observed.inPlace) return undefined;
  return failureOf(
    new TagferryError("STREAM_TAKEOVER", `${where} exists, and Tagferry does not own it`, {
      where,
      found:
        owner.importsFrom === undefined
          ? `pushed by somebody else: ${observed.digest}`
          : `imports from ${owner.importsFrom}`,
      allowed: "takeover: true on this mirror",
    }),
  );
}

function missingAtSource({ source, tag }: TagSource): Failure {
  return failureOf(
    new TagferryError("MANIFEST_UNKNOWN", `${source} has no tag ${tag}; the target is not changed`, {
      where: `${source}:${tag}`,
    }),
  );
}

function emptyRules({ tags, explained, listing }: Desired, { name, source }: Mirror): Failure[] {
  if (tags.length > 0 || listing === "failed") return [];
  const where = formatLocation(source);
  return [
    failureOf(
      new TagferryError(
        "FILTER_EMPTY",
        `mirror ${name} selects none of the ${explained.length} tags of ${where}`,
        { where, found: explained.length },
      ),
    ),
  ];
}
