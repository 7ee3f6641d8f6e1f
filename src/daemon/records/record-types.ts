import type { Failure } from "../../errors/error.ts";
import type { Digest } from "../../oci/digest.ts";
import type { MirrorReport, Outcome } from "../../sync/report.ts";
import type { Cause } from "../queue/job.ts";

/** One check of a mirror and all that followed from it. JSON-safe. */
export type Run = {
  readonly id: string;
  readonly mirror: string;
  readonly cause: Cause;
  readonly dueAt: string;
  readonly startedAt: string;
  readonly finishedAt?: string;
  readonly state: "running" | MirrorReport["state"];
  /** Tags that have to be dealt with before it is finished; undefined while it is still being checked. */
  readonly expected?: number;
  readonly outcomes: readonly Outcome[];
  readonly warnings: readonly Failure[];
  readonly failure?: Failure;
};

/** What is known of one tag of a mirror. */
export type TagRecord = {
  readonly tag: string;
  /** What the target's tag points at; undefined: not published yet. */
  readonly digest?: Digest;
  readonly publishedAt?: string;
  readonly checkedAt: string;
  readonly last: Outcome["kind"];
  readonly failure?: Failure;
  /** Newest first. */
  readonly history: readonly { readonly digest: Digest; readonly at: string }[];
};

/** What is known of a mirror besides its runs. Times are ISO. */
export type MirrorRecord = {
  readonly lastDueAt?: string;
  readonly lastRunAt?: string;
  readonly lastSuccessAt?: string;
  /** Since when no run was good. */
  readonly failingSince?: string;
  readonly pausedAt?: string;
  readonly pausedBy?: string;
};

/** A copy under way. */
export type Progress = {
  readonly mirror: string;
  readonly tag: string;
  readonly bytes: number;
  readonly totalBytes?: number;
  readonly startedAt: string;
  readonly at: string;
};

export type Quarantine = {
  readonly mirror: string;
  readonly key: string;
  readonly tag?: string;
  readonly since: string;
  readonly crashes: number;
};

/** What happens, for who looks on. */
export type DaemonEvent =
  | { readonly kind: "run"; readonly mirror: string; readonly run: string; readonly state: Run["state"] }
  | { readonly kind: "outcome"; readonly mirror: string; readonly outcome: Outcome }
  | { readonly kind: "progress"; readonly mirror: string; readonly progress: Progress }
  | { readonly kind: "mirror"; readonly mirror: string }
  | { readonly kind: "config"; readonly ok: boolean };

/** What the books of the records share. */
export type RecordsOptions = {
  readonly now: () => Date;
  readonly notify: (event: DaemonEvent) => Promise<void>;
};
