import type { Mirror } from "../config/config.ts";
import { targetName } from "../config/target-name.ts";
import { type Failure, failureOf, TagferryError } from "../errors/error.ts";
import type { Plan } from "./action.ts";

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
