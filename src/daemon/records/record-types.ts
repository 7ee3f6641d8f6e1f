import type { ImageFacts } from "../../copy/summary.ts";
import type { Failure } from "../../errors/error.ts";
import type { Digest } from "../../oci/digest.ts";
import type { MirrorReport, Outcome } from "../../sync/report.ts";
import type { Cause } from "../queue/job.ts";

/** One check of a mirror, and the work that it found. JSON-safe. */
export type Run = {
  readonly id: string;
  readonly mirror: string;
  readonly cause: Cause;
  readonly dueAt: string;
  readonly startedAt: string;
  readonly finishedAt?: string;
  readonly state: "running" | "cancelled" | MirrorReport["state"];
  /** The number of tags that must have an outcome before the run is finished; undefined during the check. */
  readonly expected?: number;
  readonly outcomes: readonly Outcome[];
  readonly warnings: readonly Failure[];
  readonly failure?: Failure;
};

/** An Outcome that says something about the tag itself. A push says nothing about it. */
export type TagOutcome = Exclude<Outcome, { readonly kind: "pushed" }>;

/** A finished run in short: enough for lists, however many tags it had. */
export type RunMark = Pick<Run, "id" | "cause" | "startedAt" | "failure"> & {
  readonly finishedAt: string;
  readonly state: Exclude<Run["state"], "running">;
  /** Sent to the target. */
  readonly bytes: number;
  /** Tags that were published. */
  readonly published: number;
  /** Tags that failed or were refused. */
  readonly failed: number;
  readonly warnings: readonly Failure[];
};

/** What was published in one hour. */
export type HourOfWork = {
  /** ISO: its begin, in UTC. */
  readonly from: string;
  readonly bytes: number;
  /** Tags. */
  readonly published: number;
  /** Of the slowest tag: from the earliest time at which its source can have moved. undefined: not known. */
  readonly freshnessMs?: number;
};

/** A run under way in short. */
export type OpenRun = Pick<Run, "id" | "cause" | "startedAt" | "expected"> & {
  /** Tags that have an outcome. */
  readonly done: number;
};

/** What is known of one tag of a mirror. */
export type TagRecord = {
  readonly tag: string;
  /** The digest of the tag at the target; undefined: not published yet. */
  readonly digest?: Digest;
  readonly publishedAt?: string;
  /** When the source was read for `digest`. Nothing that was read earlier is published. */
  readonly readAt?: string;
  /** A number between the readings before the last publication and those after it. */
  readonly publishedBefore?: number;
  readonly checkedAt: string;
  readonly last: TagOutcome["kind"];
  readonly failure?: Failure;
  /** Newest first. */
  readonly history: readonly { readonly digest: Digest; readonly at: string }[];
  /** Of the image that `digest` names; undefined when it was neither copied nor verified since the records began. */
  readonly image?: ImageFacts & {
    /** Signatures, SBOMs and attestations; undefined when they were not counted. */
    readonly referrers?: number;
  };
};

/** What is known of a mirror besides its runs. Times are ISO. */
export type MirrorRecord = {
  readonly lastDueAt?: string;
  /** The first due time after the last finished run. A run that finished later (`lastRunAt`) makes it void. */
  readonly dueSince?: string;
  readonly lastRunAt?: string;
  readonly lastSuccessAt?: string;
  /** The first failure since the last good run. */
  readonly failingSince?: string;
  readonly retrying?: RetryState;
  readonly pausedAt?: string;
  readonly pausedBy?: string;
};

/** The last attempt of the current run failed. Another attempt follows at `nextAt`. */
export type RetryState = {
  readonly failure: Failure;
  /** The number of attempts so far. */
  readonly attempt: number;
  readonly at: string;
  readonly nextAt: string;
  /** undefined: the check of the whole mirror failed. */
  readonly tag?: string;
};

/** A copy in progress. */
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

/** Events for the page and for readers of the event stream. */
export type DaemonEvent =
  | { readonly kind: "run"; readonly mirror: string; readonly run: string; readonly state: Run["state"] }
  | { readonly kind: "outcome"; readonly mirror: string; readonly outcome: Outcome }
  | { readonly kind: "progress"; readonly mirror: string; readonly progress: Progress }
  | { readonly kind: "mirror"; readonly mirror: string }
  | { readonly kind: "config"; readonly ok: boolean }
  /** Workers give up these runs. */
  | { readonly kind: "cancel"; readonly mirror: string; readonly runs: readonly string[] };

/** Options of all records. */
export type RecordsOptions = {
  readonly now: () => Date;
  readonly notify: (event: DaemonEvent) => Promise<void>;
};
