import { closestRule } from "../../plan/closest.ts";
import { describe } from "../../plan/describe.ts";
import { NOT_INCLUDED } from "../../plan/select.ts";
import { compareTags, inTagOrder } from "../../plan/tag-order.ts";
import type { Planned } from "../../sync/check.ts";
import type { CopySize } from "../../sync/targets/copy-size.ts";
import { indent, renderFailure } from "./failure-text.ts";
import { mirrorLine, plural } from "./mirror-text.ts";
import { table } from "./table.ts";
import { formatBytes } from "./units.ts";

/** A planned mirror with the bytes that sync would copy; `size` is undefined when it was not asked for. */
export type SizedPlan = { readonly planned: Planned; readonly size?: CopySize | undefined };

/** All plans, and one line with the totals. */
export function renderPlans(
  plans: readonly SizedPlan[],
  { explain }: { readonly explain?: boolean | undefined },
): string {
  return [...plans.map((one) => renderPlan(one, { explain })), totalsOf(plans)].join("\n\n");
}

/** One mirror's plan: a line per tag, and with `explain` the rule that kept or dropped each tag of the source. */
function renderPlan(
  { planned, size }: SizedPlan,
  { explain }: { readonly explain?: boolean | undefined },
): string {
  const head = mirrorLine(planned.mirror);
  if (planned.kind === "failed") return `${head}\n${indent(renderFailure(planned.failure))}`;
  const lines = inTagOrder(planned.plan.actions).map((action) => `  ${describe(action)}`);
  return [
    head,
    ...(lines.length > 0 ? lines : ["  the rules select no tag"]),
    ...sizeLines(planned, size),
    ...(explain ? ["", "  why", indent(table(explained(planned)))] : []),
  ].join("\n");
}

function sizeLines({ plan }: Extract<Planned, { kind: "planned" }>, size: CopySize | undefined): string[] {
  if (plan.actions.every(({ kind }) => kind !== "create" && kind !== "update")) return [];
  if (!size)
    return [
      "  the bytes to copy were not read: --sizes reads them (Docker Hub counts each manifest as a pull)",
    ];
  const { bytes, unknownTags } = size;
  const unknown =
    unknownTags.length === 0 ? "" : `; unknown for ${unknownTags.toSorted(compareTags).join(", ")}`;
  return [`  ${formatBytes(bytes)} to copy${unknown}`];
}

function explained({ explained: tags, mirror }: Extract<Planned, { kind: "planned" }>): string[][] {
  return inTagOrder(tags).map(({ tag, kept, rule }) => {
    const closest = rule === NOT_INCLUDED ? closestRule(mirror.tags, tag) : undefined;
    return [kept ? "kept" : "dropped", tag, closest === undefined ? rule : `${rule}; closest: ${closest}`];
  });
}

const WORDS = {
  create: "to create",
  update: "to update",
  prune: "to prune",
  keep: "in place",
  remember: "missing at the source",
  refuse: "not possible",
} as const;

function totalsOf(plans: readonly SizedPlan[]): string {
  const actions = plans.flatMap(({ planned }) => (planned.kind === "planned" ? planned.plan.actions : []));
  const counts = Object.entries(WORDS).flatMap(([kind, words]) => {
    const count = actions.filter((action) => action.kind === kind).length;
    return count === 0 ? [] : [`${count} ${words}`];
  });
  const failed = plans.filter(({ planned }) => planned.kind === "failed").length;
  if (failed > 0) counts.push(`${plural(failed, "mirror")} could not be checked`);
  const bytes = plans.reduce((sum, { size }) => sum + (size?.bytes ?? 0), 0);
  const sizes = plans.some(({ size }) => size !== undefined && size.bytes > 0)
    ? `; ${formatBytes(bytes)} to copy`
    : "";
  return `${plural(plans.length, "mirror")}: ${counts.join(", ") || "nothing to do"}${sizes}`;
}
