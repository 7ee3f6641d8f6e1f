import type { Failure } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import type { Outcome } from "../../sync/report.ts";
import type { Counts } from "../queue/queue.ts";
import type { DaemonEvent, Progress, Quarantine, Run, TagRecord } from "../records/record-types.ts";
import type { SessionRecords } from "../records/sessions.ts";
import type { RedisState } from "../redis/connection.ts";
import type { WatchState } from "../triggers/stream-watch.ts";

/**
 * `fresh`: its last run was good, and none is overdue. `late`: a due time passed and no run has ended since. `failing`: its last
 * run left something undone, or the attempt under way failed and is made again. `waiting`: not checked yet.
 */
export type MirrorState = "fresh" | "late" | "failing" | "running" | "paused" | "quarantined" | "waiting";

/** One mirror, as the page and the API show it. Times are ISO. */
export type MirrorStatus = {
  readonly name: string;
  readonly source: string;
  readonly target: string;
  /** Where the bytes of an image stream's tags are; undefined for other targets. */
  readonly storage?: string;
  readonly schedule?: { readonly cron: string; readonly timeZone: string; readonly jitterMs: number };
  readonly state: MirrorState;
  readonly tags: number;
  readonly failedTags: number;
  readonly nextRunAt?: string;
  readonly lastRunAt?: string;
  readonly lastSuccessAt?: string;
  readonly failingSince?: string;
  /** Seconds since the last due time that no run has answered; 0 when there is none. */
  readonly latenessS: number;
  readonly pausedAt?: string;
  readonly pausedBy?: string;
  readonly underWay: readonly (Progress & { readonly bytesPerSecond: number })[];
  readonly quarantined: readonly Quarantine[];
  /** Of the attempt that is made again, else of the last run when the mirror could not be checked at all. */
  readonly failure?: Failure;
  /** Why it fails or is tried again, while it does; when an attempt is made again, also when. */
  readonly reason?: string;
};

export type MirrorDetail = {
  readonly mirror: MirrorStatus;
  readonly tags: readonly TagRecord[];
  /** Newest first. */
  readonly runs: readonly Run[];
};

export type Health = {
  readonly version: string;
  readonly startedAt: string;
  /** Whether this process takes requests and work: not while it stops, nor without its Redis. */
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly config: {
    readonly file: string;
    readonly fingerprint: string;
    readonly loadedAt: string;
    /** Why the file as it is now is not in force. */
    readonly failure?: Failure;
  };
  /** undefined: the queue is in this process. */
  readonly redis?: RedisState;
  /** undefined while Redis is away. */
  readonly jobs?: Counts;
  readonly workers: number;
  /** Of the namespaces with streams that mirrors fill; none in a process without schedules. */
  readonly streamWatches: readonly WatchState[];
  readonly rateLimits: readonly RateLimitStatus[];
};

export type RateLimitStatus = {
  readonly registry: string;
  readonly connections: number;
  readonly inUse: number;
  readonly requestsPerSecond?: number;
  /** As the registry said last. */
  readonly pullsLeft?: number;
  /** No request is sent before then: the registry asked for it. */
  readonly pausedUntil?: string;
  /** It does not answer: requests fail at once until it is asked again at this time. */
  readonly unresponsiveUntil?: string;
};

/** What a daemon shows and takes. Page, API and metrics know nothing else of it. */
export type DaemonView = {
  health(): Promise<Health>;
  mirrors(): Promise<readonly MirrorStatus[]>;
  mirror(name: string): Promise<MirrorDetail | undefined>;
  /** Of all mirrors or of one, newest first. */
  runs(options?: { readonly mirror?: string; readonly limit?: number }): Promise<readonly Run[]>;
  /** What happens from now on. */
  events(options?: Cancellable): AsyncIterable<DaemonEvent>;
  /** `undefined`: there is no such mirror. */
  sync(name: string, by: string): Promise<"queued" | "duplicate" | undefined>;
  pause(name: string, by: string): Promise<boolean>;
  resume(name: string, by: string): Promise<boolean>;
  /** Gives quarantined work another chance, and makes the mirror due. */
  retry(name: string, by: string): Promise<boolean>;
  /** A webhook says that `registry/repository` was pushed to: the mirrors that read it become due. Gives their names. */
  pushNotice(pushed: {
    readonly repository: string;
    readonly tag?: string;
    readonly at?: string;
  }): Promise<readonly string[]>;
  /** The names of the mirrors that read `registry/repository`, as the configuration in force has it. */
  mirrorsReading(repository: string): readonly string[];
  /** Which sessions of the page were ended. */
  readonly sessions: SessionRecords;
  /** For metrics: what this process does. */
  observe(listener: (observation: Observation) => void): Disposable;
};

export type Observation =
  | {
      readonly kind: "outcome";
      readonly mirror: string;
      readonly outcome: Outcome["kind"];
      readonly bytes: number;
      /** From the earliest moment the source can have moved to the published tag. */
      readonly freshnessS?: number;
    }
  | {
      readonly kind: "request";
      readonly registry: string;
      readonly class: "2xx" | "3xx" | "4xx" | "429" | "5xx" | "error";
      /** What the registry says is left of its limit on pulls. */
      readonly pullsLeft?: number;
    }
  /** A due time passed while nothing ran. */
  | { readonly kind: "missed"; readonly mirror: string };
