import { shortDigest } from "../../oci/digest.ts";
import type { Action } from "../../plan/action.ts";
import { inTagOrder } from "../../plan/tag-order.ts";
import { mirrorLine, plural } from "./mirror-text.ts";
import type { SizedPlan } from "./plan-text.ts";
import { formatBytes } from "./units.ts";

/** Plans as Markdown, for a comment on a pull request. Tags that do not change are only counted. */
export function renderMarkdown(plans: readonly SizedPlan[]): string {
  return `## Tagferry plan\n\n${plans.map(renderPlan).join("\n\n")}\n`;
}

function renderPlan({ planned, size }: SizedPlan): string {
  const head = `### ${cell(mirrorLine(planned.mirror))}`;
  if (planned.kind === "failed")
    return `${head}\n\n**${planned.failure.code}** ${cell(planned.failure.message)}\n\n${cell(planned.failure.next)}`;
  const { actions, warnings } = planned.plan;
  const rows = inTagOrder(actions).flatMap((action) => (action.kind === "keep" ? [] : [rowOf(action)]));
  const kept = actions.length - rows.length;
  const notes = [
    ...(kept > 0 ? [`${plural(kept, "tag")} in place`] : []),
    ...(size && size.bytes > 0 ? [`${formatBytes(size.bytes)} to copy`] : []),
    ...warnings.map(({ code, message }) => `**${code}** ${cell(message)}`),
  ];
  return [
    head,
    rows.length === 0 ? "No changes." : ["| | tag | image | why |", "|---|---|---|---|", ...rows].join("\n"),
    ...(notes.length > 0 ? [notes.join("; ")] : []),
  ].join("\n\n");
}

function rowOf(action: Exclude<Action, { kind: "keep" }>): string {
  const cells = [action.kind, `\`${action.tag}\``, ...imageAndReason(action)];
  return `| ${cells.map(cell).join(" | ")} |`;
}

function imageAndReason(action: Exclude<Action, { kind: "keep" }>): [string, string] {
  switch (action.kind) {
    case "create":
    case "update": {
      const before = action.replaces === undefined ? "" : `\`${shortDigest(action.replaces)}\` → `;
      return [`${before}\`${shortDigest(action.image.digest)}\``, action.reason];
    }
    case "push":
      return [`\`${shortDigest(action.image.digest)}\``, action.reason];
    case "prune":
      return [action.digest === undefined ? "" : `\`${shortDigest(action.digest)}\``, action.reason];
    case "remember":
      return ["", action.reason];
    case "refuse":
      return ["", `**${action.failure.code}** ${action.failure.message}`];
  }
}

/** Text from outside must not end a cell, a line or begin a link. */
function cell(text: string): string {
  return text.replaceAll(/[\r\n]+/g, " ").replaceAll(/[|<>[\]\\]/g, (character) => `\\${character}`);
}
