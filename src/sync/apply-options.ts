import type { CopyEvent } from "../copy/events.ts";
import type { Cancellable } from "../lib/cancel.ts";
import type { Limit } from "../lib/limit.ts";
import type { Change, Push } from "../plan/action.ts";
import type { Outcome } from "./report.ts";

/** Callbacks for progress and log lines. */
export type Watch = {
  /** A mirror was checked, or its check failed. `tags`: those that will be written. */
  readonly checked?: (mirror: string, tags: readonly string[]) => void;
  readonly begin?: (action: Change | Push) => void;
  readonly copying?: (action: Change | Push, event: CopyEvent) => void;
  readonly outcome?: (outcome: Outcome) => void;
};

export type ApplyOptions = Cancellable & {
  readonly now: Date;
  /** Gives the time, to compute the age of a plan. */
  readonly clock?: () => Date;
  readonly watch: Watch;
  /** Limits the copies of the whole run. */
  readonly copies: Limit;
  /** The check that made the plan. Different for every check: see `ReferrersOptions`. */
  readonly occasion?: string | undefined;
  /** Called immediately before something is published. Throws when the job now belongs to another process. */
  readonly assertStillOurs?: (() => Promise<void>) | undefined;
};
