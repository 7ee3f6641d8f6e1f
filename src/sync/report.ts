import type { CopySummary, ImageFacts } from "../copy/summary.ts";
import type { Failure } from "../errors/error.ts";
import type { Digest } from "../oci/digest.ts";

/** The result of one Action. JSON-safe. */
export type Outcome =
  | ({
      readonly kind: "copied";
      readonly digest: Digest;
      readonly replaced?: Digest;
      readonly moved: CopySummary;
      /** The tag was in place, but content was missing or damaged, or referrers were new or missing. */
      readonly healed?: Healed;
    } & OutcomeBase)
  /** The stream's tag imports the image. Bytes were copied only when the storage is a repository. */
  | ({
      readonly kind: "imported";
      readonly digest: Digest;
      readonly replaced?: Digest;
      readonly moved: CopySummary;
    } & OutcomeBase)
  /**
   * The image is at the target by its digest, with what it names and its referrers. Nothing was published: no tag was
   * written. With `storage: source` there is nothing to push.
   */
  | ({ readonly kind: "pushed"; readonly digest: Digest; readonly moved: CopySummary } & OutcomeBase)
  | ({
      readonly kind: "unchanged";
      readonly digest: Digest;
      /** ISO: since when it is in place, where the target tells. */
      readonly since?: string;
      /** Known when the content was verified. */
      readonly image?: ImageFacts;
    } & OutcomeBase)
  | ({ readonly kind: "pruned"; readonly digest?: Digest } & OutcomeBase)
  /**
   * Nothing was published: the source does not have the tag, and its grace period runs. Without a date, the tag is
   * back.
   */
  | ({ readonly kind: "missing"; readonly since?: string } & OutcomeBase)
  | ({ readonly kind: "refused"; readonly failure: Failure } & OutcomeBase)
  | ({ readonly kind: "failed"; readonly failure: Failure } & OutcomeBase);

/**
 * `content`: how many manifests and blobs were sent again. `digests`: the first of them. `referrers`: how many were
 * sent.
 */
export type Healed = {
  readonly content: number;
  readonly referrers: number;
  readonly digests?: readonly Digest[];
};

type OutcomeBase = { readonly mirror: string; readonly tag: string };

export const NOTHING_MOVED: CopySummary = {
  bytes: 0,
  blobs: { pushed: 0, mounted: 0, present: 0 },
  manifests: 0,
  referrers: 0,
  notCarried: 0,
};

/** The result of one run for one mirror. */
export type MirrorReport = {
  readonly mirror: string;
  /** `failed`: the mirror could not be checked, and nothing was changed. */
  readonly state: "done" | "partial" | "failed";
  readonly outcomes: readonly Outcome[];
  readonly warnings: readonly Failure[];
  /** The reason when the whole mirror failed. */
  readonly failure?: Failure;
};

/** The result of one run. The exit code, the page and the log are made from it. */
export type Report = {
  readonly startedAt: string;
  readonly durationMs: number;
  readonly mirrors: readonly MirrorReport[];
  readonly totals: Totals;
};

export type Totals = {
  readonly copied: number;
  readonly imported: number;
  readonly pushed: number;
  readonly unchanged: number;
  readonly pruned: number;
  readonly missing: number;
  readonly refused: number;
  readonly failed: number;
  readonly bytes: number;
};

export function mirrorReport(
  mirror: string,
  outcomes: readonly Outcome[],
  warnings: readonly Failure[],
): MirrorReport {
  const trouble = outcomes.some(({ kind }) => kind === "failed" || kind === "refused");
  return { mirror, state: trouble ? "partial" : "done", outcomes, warnings };
}

export function failedMirror(mirror: string, failure: Failure): MirrorReport {
  return { mirror, state: "failed", outcomes: [], warnings: [], failure };
}

export function report(
  mirrors: readonly MirrorReport[],
  { startedAt, durationMs }: { readonly startedAt: Date; readonly durationMs: number },
): Report {
  return {
    startedAt: startedAt.toISOString(),
    durationMs: Math.round(durationMs),
    mirrors,
    totals: totals(mirrors),
  };
}

function totals(mirrors: readonly MirrorReport[]): Totals {
  const outcomes = mirrors.flatMap((mirror) => mirror.outcomes);
  const count = (kind: Outcome["kind"]): number => outcomes.filter((outcome) => outcome.kind === kind).length;
  return {
    copied: count("copied"),
    imported: count("imported"),
    pushed: count("pushed"),
    unchanged: count("unchanged"),
    pruned: count("pruned"),
    missing: count("missing"),
    refused: count("refused"),
    failed: count("failed"),
    bytes: outcomes.reduce((sum, outcome) => sum + ("moved" in outcome ? outcome.moved.bytes : 0), 0),
  };
}
