import type { Side } from "../ledger.ts";
import type { Random } from "../random.ts";
import type { Exchange, RouteKind } from "../registry/exchange.ts";

/** The frequency of a fault: one request, several in a row, half of them, or all until faults are off. */
export type PatternKind = "once" | "burst" | "half" | "always";

/**
 * A wrong answer that a client cannot detect. It excuses the run that got it, but not the run without faults after
 * it.
 */
export type Hides = "referrers" | "tag";

export type Fault = {
  readonly name: string;
  readonly sides: readonly Side[];
  readonly routes: readonly RouteKind[];
  readonly patterns: readonly PatternKind[];
  readonly hides?: Hides;
  /** It takes seconds to minutes. The short form has few of these. */
  readonly slow?: true;
  when?(exchange: Exchange): boolean;
  run(exchange: Exchange, random: Random): Promise<void>;
};

export const BOTH: readonly Side[] = ["source", "target"];
export const READS: readonly RouteKind[] = [
  "manifest-get",
  "manifest-head",
  "blob-get",
  "blob-head",
  "tags",
  "referrers",
];
export const BODIES: readonly RouteKind[] = ["manifest-get", "blob-get", "tags", "referrers"];
export const WRITES: readonly RouteKind[] = ["manifest-put", "upload-post", "upload-patch", "upload-put"];
export const ALL: readonly RouteKind[] = [...READS, ...WRITES];
