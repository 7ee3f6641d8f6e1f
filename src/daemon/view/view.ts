import type { Failure } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import type { Outcome } from "../../sync/report.ts";
import type { Counts } from "../queue/queue.ts";
import type {
  DaemonEvent,
  HourOfWork,
  OpenRun,
  Progress,
  Quarantine,
  RetryState,
  Run,
  RunMark,
  TagRecord,
} from "../records/record-types.ts";
import type { SessionRecords } from "../records/sessions.ts";
import type { RedisState } from "../redis/connection.ts";
import type { WatchState } from "../triggers/stream-watch.ts";

/**
 * `fresh`: the last run succeeded, and no check is overdue. `late`: a due time passed two minutes ago, and no run has
 * finished since. `failing`: the last run left something undone, or the last attempt of the current run failed.
 * `empty`: its tag rules select nothing. `waiting`: never checked.
 */
export type MirrorState = (typeof MIRROR_STATES)[number];

/** In the order in which lists show them: trouble first. */
export const MIRROR_STATES = [
  "failing",
  "quarantined",
  "late",
  "empty",
  "running",
  "waiting",
  "paused",
  "fresh",
] as const;

/** One mirror, as the page and the API show it. Times are ISO. */
export type MirrorStatus = {
  readonly name: string;
  readonly source: string;
  readonly target: string;
  /** The host of the source; `oci` for a layout. */
  readonly registry: string;
  /** Of the image stream; undefined for other targets. */
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** `registry/repository` from which clients pull its tags; undefined for a layout. */
  readonly pullFrom?: string;
  /** Where the images of an image stream are stored; undefined for other targets. */
  readonly storage?: string;
  readonly schedule?: { readonly cron: string; readonly timeZone: string; readonly jitterMs: number };
  readonly state: MirrorState;
  /** All states that hold now; `state` is the one that matters most. A paused mirror can be failing as well. */
  readonly states: readonly MirrorState[];
  readonly tags: number;
  readonly failedTags: number;
  readonly nextRunAt?: string;
  readonly lastRunAt?: string;
  readonly lastSuccessAt?: string;
  readonly failingSince?: string;
  /** Seconds since the first due time after the last finished run; 0 when none has passed, and while paused. */
  readonly latenessS: number;
  readonly pausedAt?: string;
  readonly pausedBy?: string;
  readonly underWay: readonly (Progress & { readonly bytesPerSecond: number })[];
  readonly quarantined: readonly Quarantine[];
  /** The run in progress. */
  readonly run?: OpenRun;
  /** The last finished runs, newest first. */
  readonly recent: readonly RunMark[];
  /** Of the last attempt, while another one follows; otherwise of the last run, if it could not check the mirror. */
  readonly failure?: Failure;
  /** Why the mirror fails, and when the next attempt is. */
  readonly reason?: string;
  /** The last attempt, which failed, while another one follows. */
  readonly retrying?: RetryState;
  /** The registries of its source, target and storage that get no requests now; undefined: none. */
  readonly pauses?: readonly RegistryPause[];
};

/** Why a registry gets no requests now, as far as this process knows. */
export type RegistryPause = {
  readonly registry: string;
  /** `unresponsive`: it does not answer. `paused`: it asked for a pause. */
  readonly kind: "unresponsive" | "paused";
  /** ISO. */
  readonly since: string;
  /** ISO: when the next request is sent. */
  readonly until: string;
};

export type MirrorDetail = {
  readonly mirror: MirrorStatus;
  readonly tags: readonly TagRecord[];
  /** Newest first; those under way before them. */
  readonly runs: readonly Run[];
  /** The last 24 hours, the oldest first. */
  readonly day: readonly HourOfWork[];
};

export type Health = {
  readonly version: string;
  readonly startedAt: string;
  /** Whether this process takes requests and work. False while it stops, and while its Redis is away. */
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly config: {
    readonly file: string;
    readonly fingerprint: string;
    readonly loadedAt: string;
    /** Why the present content of the file is not in force. */
    readonly failure?: Failure;
  };
  /** undefined: the queue is in this process. */
  readonly redis?: RedisState;
  /** undefined while Redis is away. */
  readonly jobs?: Counts;
  readonly workers: number;
  /** One per namespace with target streams; none in a process without schedules. */
  readonly streamWatches: readonly WatchState[];
  /** The configured registries, and all others that are paused or do not answer. */
  readonly rateLimits: readonly RateLimitStatus[];
};

export type RateLimitStatus = {
  readonly registry: string;
  readonly connections: number;
  readonly inUse: number;
  readonly requestsPerSecond?: number;
  /** As the registry said last. */
  readonly pullsLeft?: number;
  /** The registry asked for a pause: no request is sent before `pausedUntil`. */
  readonly pausedSince?: string;
  readonly pausedUntil?: string;
  /** The registry does not answer: requests fail at once until it is tried again at `unresponsiveUntil`. */
  readonly unresponsiveSince?: string;
  readonly unresponsiveUntil?: string;
};

/** Everything that page, API and metrics know about a daemon, and can ask of it. */
export type DaemonView = {
  health(): Promise<Health>;
  mirrors(): Promise<readonly MirrorStatus[]>;
  mirror(name: string): Promise<MirrorDetail | undefined>;
  /** What was published of all mirrors in the last 24 hours, the oldest hour first. */
  day(): Promise<readonly HourOfWork[]>;
  /** Whether the configuration in force has this mirror. */
  has(mirror: string): boolean;
  /** The finished runs of all mirrors or of one, newest first. Reads no more than `limit` runs. */
  runs(options?: { readonly mirror?: string; readonly limit?: number }): Promise<readonly Run[]>;
  /** All events from now on. */
  events(options?: Cancellable): AsyncIterable<DaemonEvent>;
  /** `undefined`: there is no such mirror. */
  sync(name: string, by: string): Promise<"queued" | "duplicate" | undefined>;
  pause(name: string, by: string): Promise<boolean>;
  resume(name: string, by: string): Promise<boolean>;
  /** Releases quarantined work, and makes the mirror due. */
  retry(name: string, by: string): Promise<boolean>;
  /** Stops the runs of the mirror that are in progress, and their waiting work. Tags that were published stay. */
  cancel(name: string, by: string): Promise<boolean>;
  /** A webhook reported a push to `registry/repository`. The mirrors that read it become due. Returns their names. */
  pushNotice(pushed: {
    readonly repository: string;
    readonly tag?: string;
    readonly at?: string;
  }): Promise<readonly string[]>;
  /** The names of the mirrors in the configuration in force that read `registry/repository`. */
  mirrorsReading(repository: string): readonly string[];
  /** The sessions of the page that were ended. */
  readonly sessions: SessionRecords;
  /** Reports what this process does, for metrics. */
  observe(listener: (observation: Observation) => void): Disposable;
};

export type Observation =
  | {
      readonly kind: "outcome";
      readonly mirror: string;
      readonly outcome: Outcome["kind"];
      readonly bytes: number;
      /** From the earliest time at which the source can have moved to the publication of the tag. */
      readonly freshnessS?: number;
    }
  | {
      readonly kind: "request";
      readonly registry: string;
      readonly class: "2xx" | "3xx" | "4xx" | "429" | "5xx" | "error";
      /** The number of pulls that are left, as the registry reported it. */
      readonly pullsLeft?: number;
    }
  /** A due time passed while no daemon ran. */
  | { readonly kind: "missed"; readonly mirror: string };
