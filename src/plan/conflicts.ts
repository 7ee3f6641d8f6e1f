import type { Mirror, TagRules } from "../config/config.ts";
import { targetName } from "../config/target-name.ts";
import { type Failure, failureOf, TagferryError } from "../errors/error.ts";
import { own } from "../lib/own.ts";
import type { Action, Observed, Plan } from "./action.ts";
import { include } from "./select.ts";

/** Another mirror with the same target, and what its rules select. */
export type Rival =
  | { readonly kind: "known"; readonly mirror: string; readonly selects: ReadonlySet<string> }
  /** Its source did not tell. `matches`: those of our tags that its rules take by their names. */
  | {
      readonly kind: "unknown";
      readonly mirror: string;
      readonly matches: ReadonlySet<string>;
      readonly failure: Failure;
    };

/** Those of these tags that the rules take by their names. What `since` and `newest` drop later is among them. */
export function matchesByName(rules: TagRules, tags: readonly string[]): ReadonlySet<string> {
  if (rules.kind === "exact") return new Set(tags).intersection(new Set(rules.tags));
  const { kept } = include(
    rules,
    tags.map((tag) => ({ tag })),
  );
  return new Set(kept.map(({ tag }) => tag));
}

/** The tags of a plan that the mirror wants: pruning a tag is no claim on it. */
export function wantedTags({ actions }: Plan): readonly string[] {
  return actions.filter(isWanted).map(({ tag }) => tag);
}

/**
 * Refuses every tag that another mirror of the same target selects too. This follows from the configuration and the
 * sources, never from who owns the tag now, so that each of the mirrors says the same.
 *
 * When the source of the other mirror did not answer, nobody can tell. Then nothing new is written under a name that its
 * rules take; what this mirror published before goes on.
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
      `${where} may be written by mirror ${rival.mirror} too, whose source did not tell`,
      { where, found: `${rival.failure.code}: ${rival.failure.message}`, allowed: mirror.name },
    ),
  );
}
