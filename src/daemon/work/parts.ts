import type { Log } from "../../lib/log.ts";
import type { Outcome } from "../../sync/report.ts";
import type { ActiveConfig } from "../active-config.ts";
import type { Queue } from "../queue/queue.ts";
import type { Records } from "../records/records.ts";
import type { CheckRequest } from "../triggers/scheduler.ts";
import type { Cancellations } from "./cancellations.ts";

/** Receives outcomes, for metrics. */
export type Reported = {
  readonly outcome?: (outcome: Outcome, facts: { readonly freshnessMs?: number }) => void;
};

/** The parts of the daemon that jobs use. */
export type WorkerParts = {
  readonly queue: Queue;
  readonly records: Records;
  /** The configuration in force, with its clients. */
  readonly active: () => ActiveConfig;
  readonly requestCheck: CheckRequest;
  readonly log: Log;
  readonly now: () => Date;
  readonly reported: Reported;
  readonly cancellations: Cancellations;
};
