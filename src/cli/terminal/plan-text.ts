import { describe } from "../../plan/describe.ts";
import type { Planned } from "../../sync/check.ts";
import { indent, renderFailure } from "./failure-text.ts";
import { table } from "./table.ts";

/** One mirror's plan: a line per tag, and with `explain` the rule that kept or dropped each tag of the source. */
export function renderPlan(one: Planned, { explain }: { readonly explain: boolean }): string {
  if (one.kind === "failed") return `${one.mirror.name}\n${indent(renderFailure(one.failure))}`;
  const lines = one.plan.actions.map((action) => `  ${describe(action)}`);
  const rules = one.explained.map(({ tag, kept, rule }) => [kept ? "kept" : "dropped", tag, rule]);
  return [
    one.mirror.name,
    ...(lines.length > 0 ? lines : ["  the rules select no tag"]),
    ...(explain ? ["", "  why", indent(table(rules))] : []),
  ].join("\n");
}
