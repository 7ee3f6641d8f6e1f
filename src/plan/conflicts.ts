import type { Mirror, TagRules } from "../config/config.ts";
import { targetName } from "../config/target-name.ts";
import { type Failure, failureOf, TagferryError } from "../errors/error.ts";
import { own } from "../lib/own.ts";
import type { Action, Observed, Plan } from "./action.ts";
import { include } from "./select.ts";

/** Another mirror with the same target, and what its rules select. */
export type Rival =
  | { readonly kind: "known"; readonly mirror: string; readonly selects: ReadonlySet<string> }
  /** Its source could not be read. `matches`: those of our tags whose names its rules match. */
  | {
      readonly kind: "unknown";
      readonly mirror: string;
      readonly matches: ReadonlySet<string>;
      readonly failure: Failure;
    };

/** The tags whose names the rules match. Tags that `since` or `newest` would drop are included. */
export function matchesByName(rules: TagRules, tags: readonly string[]): ReadonlySet<string> {
  if (rules.kind === "exact") return new Set(tags).intersection(new Set(rules.tags));
  const { kept } = include(
    rules,
    tags.map((tag) => ({ tag })),
  );
  return new Set(kept.map(({ tag }) => tag));
}

/** The tags of a plan that the mirror wants. Tags to be pruned are not included. */
export function wantedTags({ actions }: Plan): readonly string[] {
  return actions.filter(isWanted).map(({ tag }) => tag);
}

/**
 * Refuses every tag that another mirror of the same target selects too. The decision depends only on the configuration
 * and the sources, not on the current owner. So all mirrors involved decide the same.
 *
 * When the source of the other mirror cannot be read, no new tag is written if its name matches the other mirror's
 * rules. Tags that this mirror published before continue to be updated.
 */
export function refuseConflicts(
  plan: Plan,
  mirror: Mirror,
  observed: Observed["tags"],
  rivals: readonly Rival[],
): Plan {
  if (rivals.length === 0) return plan;
  const actions = plan.actions.map((action): Action => {
    if (!isWanted(action)) return action;
    const failure =
      conflict(action, mirror, rivals) ?? doubt(action, mirror, own(observed, action.tag), rivals);
    const { mirror: name, tag, from, readAt } = action;
    return failure ? { kind: "refuse", mirror: name, tag, from, readAt, failure } : action;
  });
  return { ...plan, actions };
}

function isWanted(action: Action): boolean {
  switch (action.kind) {
    case "create":
    case "update":
    case "keep":
    case "refuse":
      return true;
    case "remember":
      return action.missingSince === undefined;
    case "prune":
    case "push": // writes no tag
      return false;
  }
}

function conflict({ tag }: Action, mirror: Mirror, rivals: readonly Rival[]): Failure | undefined {
  const others = rivals.filter((rival) => rival.kind === "known" && rival.selects.has(tag));
  if (others.length === 0) return undefined;
  const names = [mirror.name, ...others.map((rival) => rival.mirror)].toSorted().join(" and ");
  const where = `${targetName(mirror.target)}:${tag}`;
  return failureOf(
    new TagferryError("CONFIG_OVERLAP", `${where} is written by mirrors ${names}`, { where, found: names }),
  );
}

function doubt(
  action: Action,
  mirror: Mirror,
  observed: Observed["tags"][string] | undefined,
  rivals: readonly Rival[],
): Failure | undefined {
  const { tag, kind } = action;
  if ((kind !== "create" && kind !== "update") || observed?.published !== undefined) return undefined;
  const rival = rivals.find((one) => one.kind === "unknown" && one.matches.has(tag));
  if (rival?.kind !== "unknown") return undefined;
  const where = `${targetName(mirror.target)}:${tag}`;
  return failureOf(
    new TagferryError(
      "OVERLAP_UNKNOWN",
      `${where} may also be written by mirror ${rival.mirror}, whose source could not be read`,
      { where, found: `${rival.failure.code}: ${rival.failure.message}`, allowed: mirror.name },
    ),
  );
}
