import type { Mirror, PruneRules, Target } from "../config/config.ts";
import { type Failure, failureOf, TagferryError } from "../errors/error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Explained } from "./select.ts";

/** What a mirror wants, read from its source. */
export type Desired = {
  readonly mirror: string;
  /** The selected tags, resolved once: from here on they are known by their digests. */
  readonly tags: readonly DesiredTag[];
  /** Every tag that was looked at, with the rule that kept or dropped it. */
  readonly explained: readonly Explained[];
  /** Whether the listing was complete: only then may absence mean anything. */
  readonly listing: "complete" | "none" | "empty" | "failed";
};

export type DesiredTag =
  | { readonly kind: "resolved"; readonly tag: string; readonly image: Descriptor }
  /** The source has no such tag. */
  | { readonly kind: "missing"; readonly tag: string }
  | { readonly kind: "failed"; readonly tag: string; readonly failure: Failure };

/** What the target holds now. Only tags that matter to this mirror: those it owns, and those it wants. */
export type Observed = {
  readonly mirror: string;
  readonly tags: Readonly<Record<string, ObservedTag>>;
};

export type ObservedTag = {
  /** undefined: the tag has never been imported or pushed. */
  readonly digest?: Digest;
  /** Whether the bytes are where the mirror's storage wants them. Always true for registries and layouts. */
  readonly inPlace: boolean;
  /** Who may write it. `free`: it does not exist. `unowned`: it exists and nobody claims it. */
  readonly owner:
    | { readonly kind: "us" }
    | { readonly kind: "free" }
    | { readonly kind: "unowned"; readonly importsFrom?: string }
    | { readonly kind: "other"; readonly installation: string; readonly mirror: string };
  /** The tag follows another tag or is a bare reference; pushing to it would be undone. */
  readonly follows?: string;
  /** The spec tag that imports from elsewhere, when there is one: an unfinished (or undone) takeover. */
  readonly importsFrom?: string;
  /** The digest we published last, by our annotation. */
  readonly published?: Digest;
  /** ISO date of the first complete listing in which the source lacked the tag. */
  readonly missingSince?: string;
  /** We took this tag over before, and its spec tag is back; the field manager that wrote it. */
  readonly contestedBy?: string;
};

/** One tag of one target: the unit of job, retry, lock, log line and test case. JSON-safe. */
export type Action =
  | ({
      readonly kind: "create" | "update";
      readonly image: Descriptor;
      readonly takeover: boolean;
      readonly replaces?: Digest;
      readonly reason: string;
    } & ActionBase)
  | ({ readonly kind: "keep"; readonly digest: Digest; readonly reason: string } & ActionBase)
  | ({
      readonly kind: "prune";
      readonly digest?: Digest;
      readonly missingSince: string;
      readonly reason: string;
    } & ActionBase)
  /** Something is remembered and nothing published: the source lacks the tag, and its grace has begun (or it is back). */
  | ({ readonly kind: "remember"; readonly missingSince?: string; readonly reason: string } & ActionBase)
  | ({ readonly kind: "refuse"; readonly failure: Failure } & ActionBase);

export type ActionBase = { readonly mirror: string; readonly tag: string };

export type Plan = {
  readonly mirror: string;
  readonly actions: readonly Action[];
  /** What a person should know although nothing failed: rules that match nothing, a cap that held pruning back. */
  readonly warnings: readonly Failure[];
};

export type PlanOptions = { readonly now: Date };

/**
 * Decides what to do, from what is wanted and what is there. Pure: no promise, no clock of its own.
 *
 * A tag is in place when its digest and its place agree, and it is ours. One that is somebody else's is refused; one that
 * nobody owns is taken only when it is free, when `takeover` is set, or when a push already put our very image there
 * (an interrupted run of ours, before it could note it).
 */
export function plan(desired: Desired, observed: Observed, mirror: Mirror, { now }: PlanOptions): Plan {
  const wanted = desired.tags.map((tag) => actionFor(tag, observed.tags[tag.tag], mirror));
  const removal = planRemovals(desired, observed, mirror, now);
  const warnings = [...emptyRules(desired, mirror), ...removal.warnings];
  return { mirror: mirror.name, actions: [...wanted, ...removal.actions], warnings };
}

function actionFor(desired: DesiredTag, observed: ObservedTag | undefined, mirror: Mirror): Action {
  const base = { mirror: mirror.name, tag: desired.tag };
  switch (desired.kind) {
    case "failed":
      return { kind: "refuse", ...base, failure: desired.failure };
    case "missing":
      return { kind: "refuse", ...base, failure: missingAtSource(desired.tag, mirror) };
    case "resolved": {
      const failure = observed && refusal(observed, desired.image.digest, mirror, desired.tag);
      if (failure) return { kind: "refuse", ...base, failure };
      return publishing(desired, observed ?? { inPlace: false, owner: { kind: "free" } }, mirror);
    }
  }
}

function publishing(
  { tag, image }: Extract<DesiredTag, { readonly kind: "resolved" }>,
  observed: ObservedTag,
  mirror: Mirror,
): Action {
  const base = { mirror: mirror.name, tag };
  const { digest, inPlace, owner, importsFrom } = observed;
  const same = digest === image.digest;
  // a spec tag that imports stands beside what we push: it has to go, or the old image comes back
  const takeover = importsFrom !== undefined;
  if (same && inPlace && !takeover && owner.kind === "us")
    return observed.missingSince === undefined
      ? { kind: "keep", ...base, digest, reason: "in place" }
      : { kind: "remember", ...base, reason: "back at the source: its grace ends" };
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

function updateReason(state: {
  readonly same: boolean;
  readonly inPlace: boolean;
  readonly takeover: boolean;
  readonly importsFrom: string | undefined;
  readonly owned: boolean;
}): string {
  if (state.takeover) return `takes over ${state.importsFrom}`;
  if (!state.same) return "moved at the source";
  if (!state.inPlace) return "the right digest in another place";
  return state.owned ? "in place" : "in place, to be claimed";
}

/** Why a tag must not be touched. */
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
  // pushed and never noted: our own interrupted run, or somebody who pushed the very same image
  if (owner.importsFrom === undefined && observed.digest === wanted && observed.inPlace) return undefined;
  return failureOf(
    new TagferryError("STREAM_TAKEOVER", `${where} exists and is not ours`, {
      where,
      found:
        owner.importsFrom === undefined
          ? `pushed by somebody else: ${observed.digest}`
          : `imports from ${owner.importsFrom}`,
      allowed: "takeover: true on this mirror",
    }),
  );
}

function missingAtSource(tag: string, { source }: Mirror): Failure {
  const name =
    source.kind === "layout" ? `oci:${source.directory}` : `${source.registry}/${source.repository}`;
  return failureOf(
    new TagferryError("MANIFEST_UNKNOWN", `${name} has no tag ${tag}; the target keeps what it has`, {
      where: `${name}:${tag}`,
    }),
  );
}

function emptyRules({ tags, explained, listing }: Desired, { name, source }: Mirror): Failure[] {
  if (tags.length > 0 || listing === "failed") return [];
  const where =
    source.kind === "layout" ? `oci:${source.directory}` : `${source.registry}/${source.repository}`;
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

type Removals = { readonly actions: readonly Action[]; readonly warnings: readonly Failure[] };

/**
 * What happens to tags we own and no longer want. Nothing, unless `prune` is set, the listing was complete, and something is
 * still wanted: an empty answer is more likely a mistake than a wish.
 */
function planRemovals(desired: Desired, observed: Observed, mirror: Mirror, now: Date): Removals {
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
    const base = { mirror: mirror.name, tag };
    const { missingSince, digest } = observedTag;
    if (missingSince === undefined)
      return [
        {
          kind: "remember",
          ...base,
          missingSince: now.toISOString(),
          reason: `${absence(tag, desired)}: its grace begins`,
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

/** Why a tag is wanted no more: the source lacks it, or a rule drops it. */
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
      `mirror ${name} would prune ${due} tags and may prune ${most}: none is pruned`,
      { found: due, allowed: most },
    ),
  );
}

/** The target as the configuration writes it, without the tag. */
export function targetName(target: Target): string {
  switch (target.kind) {
    case "imagestream":
      return `${target.namespace}/${target.name}`;
    case "registry":
      return `${target.registry}/${target.repository}`;
    case "layout":
      return `oci:${target.directory}`;
  }
}

type PlannedMirror = { readonly mirror: Mirror; readonly plan: Plan };

/**
 * Tags of one target that two mirrors select by their rules: both are refused, before a byte moves. By mirror, then by tag.
 */
export function clashes(
  planned: readonly PlannedMirror[],
): ReadonlyMap<string, ReadonlyMap<string, Failure>> {
  const writers = Map.groupBy(
    planned.flatMap(({ mirror, plan: { actions } }) =>
      actions
        .filter(
          (action) =>
            action.kind === "create" ||
            action.kind === "update" ||
            action.kind === "keep" ||
            (action.kind === "remember" && action.missingSince === undefined),
        )
        .map(({ tag }) => ({ mirror, tag, where: `${targetName(mirror.target)}:${tag}` })),
    ),
    ({ where }) => where,
  );
  const refused = new Map<string, Map<string, Failure>>();
  for (const [where, writing] of writers) {
    if (writing.length < 2) continue;
    const names = writing.map(({ mirror }) => mirror.name).join(" and ");
    const failure = failureOf(
      new TagferryError("CONFIG_OVERLAP", `${where} is written by mirrors ${names}`, { where, found: names }),
    );
    for (const { mirror, tag } of writing) {
      const tags = refused.get(mirror.name) ?? new Map<string, Failure>();
      refused.set(mirror.name, tags.set(tag, failure));
    }
  }
  return refused;
}
