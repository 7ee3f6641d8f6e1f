import type { Mirror } from "../../config/config.ts";
import type { CopySummary } from "../../copy/summary.ts";
import { shortDigest } from "../../oci/digest.ts";
import { inTagOrder } from "../../plan/tag-order.ts";
import type { Healed, MirrorReport, Outcome, Report } from "../../sync/report.ts";
import { indent, renderFailure } from "./failure-text.ts";
import { mirrorLine, plural } from "./mirror-text.ts";
import { formatBytes, formatDuration } from "./units.ts";

/** The report of a run: the changed tags of each mirror, and one line with the totals. */
export function renderReport(result: Report, mirrors: readonly Mirror[]): string {
  const { totals, durationMs } = result;
  const counts = [
    [totals.copied, "copied"],
    [totals.imported, "imported"],
    [totals.pushed, "pushed without a tag"],
    [totals.unchanged, "unchanged"],
    [totals.pruned, "pruned"],
    [totals.missing, "missing at the source"],
    [totals.refused, "refused"],
    [totals.failed, "failed"],
  ] as const;
  const parts = counts.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`);
  const failedMirrors = result.mirrors.filter(({ state }) => state === "failed").length;
  if (failedMirrors > 0) parts.push(`${plural(failedMirrors, "mirror")} could not be checked`);
  const totalsLine = `${parts.join(", ") || "nothing to do"}; ${formatBytes(totals.bytes)} sent in ${formatDuration(durationMs)}`;
  const heads = new Map(mirrors.map((mirror) => [mirror.name, mirrorLine(mirror)]));
  const rendered = result.mirrors.map((one) => renderMirror(one, heads.get(one.mirror) ?? one.mirror));
  return [...rendered, totalsLine].join("\n");
}

function renderMirror({ outcomes, failure }: MirrorReport, head: string): string {
  if (failure) return `${head}\n${indent(renderFailure(failure))}`;
  const changed = outcomes.filter(({ kind }) => kind !== "unchanged");
  const unchanged = outcomes.length - changed.length;
  const rest = unchanged > 0 ? [`  = ${plural(unchanged, "tag")} unchanged`] : [];
  return [head, ...inTagOrder(changed).map(renderOutcome), ...rest].join("\n");
}

/** `3 blobs sent, 1 already there`, without what is zero. */
export function blobCounts({ pushed, mounted, present }: CopySummary["blobs"]): string {
  const counts = [
    [pushed, "sent"],
    [mounted, "mounted"],
    [present, "already there"],
  ] as const;
  const parts = counts.flatMap(([count, how]) => (count === 0 ? [] : [`${count} ${how}`]));
  return parts.length === 0 ? "no blobs" : `blobs: ${parts.join(", ")}`;
}

function renderOutcome(outcome: Outcome): string {
  const { tag } = outcome;
  switch (outcome.kind) {
    case "copied":
    case "imported":
    case "pushed": {
      const { bytes, blobs, referrers, notCarried } = outcome.moved;
      const healed = outcome.kind === "copied" ? outcome.healed : undefined;
      const facts = [
        ...(healed && healed.content > 0
          ? [`${healed.content} missing or damaged at the target and sent again: ${namesOf(healed)}`]
          : []),
        ...(healed && healed.referrers > 0 ? [`${healed.referrers} referrers added later`] : []),
        blobCounts(blobs),
        formatBytes(bytes),
        ...(referrers > 0 ? [`${referrers} ${referrers === 1 ? "referrer" : "referrers"}`] : []),
        ...(notCarried > 0
          ? [`${notCarried} referrers not carried: this target keeps cosign tags only`]
          : []),
      ];
      const moved = blobs.pushed + blobs.mounted + blobs.present > 0 ? `  (${facts.join("; ")})` : "";
      const sign = outcome.kind === "pushed" ? ">" : outcome.replaced ? "~" : "+";
      return `  ${sign} ${tag}  ${shortDigest(outcome.digest)}  ${outcome.kind}${moved}`;
    }
    case "unchanged":
      return `  = ${tag}  ${shortDigest(outcome.digest)}  unchanged`;
    case "pruned":
      return `  - ${tag}  ${outcome.digest ? `${shortDigest(outcome.digest)}  ` : ""}pruned`;
    case "missing":
      return outcome.since === undefined
        ? `  . ${tag}  is back at the source`
        : `  . ${tag}  missing at the source since ${outcome.since}; kept`;
    case "refused":
    case "failed":
      return `  ! ${tag}  ${outcome.kind}\n${indent(indent(renderFailure(outcome.failure)))}`;
  }
}

function namesOf({ content, digests = [] }: Healed): string {
  return [...digests.map(shortDigest), ...(digests.length < content ? ["…"] : [])].join(", ");
}
