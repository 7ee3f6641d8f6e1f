import type { Side } from "../ledger.ts";
import type { Random } from "../random.ts";
import type { Exchange, RouteKind } from "../registry/exchange.ts";

/** How often a fault strikes: at one request, at some in a row, at half of them, or at all until faults are off. */
export type PatternKind = "once" | "burst" | "half" | "always";

/** What a client cannot see through: such a lie excuses a run that believed it, never the clean run after it. */
export type Hides = "referrers" | "tag";

export type Fault = {
  readonly name: string;
  readonly sides: readonly Side[];
  readonly routes: readonly RouteKind[];
  readonly patterns: readonly PatternKind[];
  readonly hides?: Hides;
  /** It costs a patient client seconds to minutes: the short form has few of them. */
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
