import type { PruneRules, TagRules, Target } from "./config.ts";
import type { MirrorShape } from "./file/schema.ts";
import { shownValue } from "./file/shape.ts";
import type { MirrorReader } from "./mirror-reader.ts";

const DEFAULT_AT_MOST = "20%";

export function readPrune(
  { prune }: MirrorShape,
  target: Target | undefined,
  tags: TagRules | undefined,
  reader: MirrorReader,
): PruneRules | undefined {
  if (!prune) return undefined;
  if (target && target.kind !== "imagestream")
    reader.fail(["prune"], "CONFIG_PRUNE", "Tagferry owns no tags at this target, so it cannot prune them", {
      key: true,
      allowed: "an imagestream: target",
    });
  if (tags?.kind === "exact")
    reader.fail(
      ["prune"],
      "CONFIG_PRUNE",
      "with exact tags there is no listing, so missing tags are not detected",
      {
        key: true,
        allowed: "tag rules",
        next: 'Remove `prune`, or select the tags by rules, such as {glob: "*"}.',
      },
    );
  const graceMs = reader.duration(["prune", "grace"], prune.grace);
  const atMost = readAtMost(prune.atMost ?? DEFAULT_AT_MOST, reader);
  return graceMs === undefined || !atMost ? undefined : { graceMs, atMost };
}

function readAtMost(value: string | number, { fail }: MirrorReader): PruneRules["atMost"] | undefined {
  const count = typeof value === "number" ? value : /^\d{1,6}$/.test(value) ? Number(value) : undefined;
  if (count !== undefined && Number.isSafeInteger(count) && count > 0) return { kind: "count", count };
  const percent = typeof value === "string" ? /^(\d{1,3}(?:\.\d+)?)%$/.exec(value)?.[1] : undefined;
  if (percent !== undefined && Number(percent) > 0 && Number(percent) <= 100)
    return { kind: "share", share: Number(percent) / 100 };
  return fail(
    ["prune", "atMost"],
    "CONFIG_RANGE",
    `${shownValue(value)} is neither a share nor a number of tags`,
    { found: shownValue(value), allowed: "1% to 100%, or a whole number from 1" },
  );
}
