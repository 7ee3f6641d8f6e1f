import { TagferryError } from "../../errors/error.ts";
import type { Job } from "../queue/job.ts";
import type { Turn } from "../queue/queue.ts";
import type { DaemonEvent } from "../records/record-types.ts";

/** Runs that a person cancelled: jobs of theirs that are under way here are stopped, and none is begun. */
export type Cancellations = Disposable & {
  /** The job as it can be cancelled. Dispose it when the job has ended. */
  begin(job: Job, turn: Turn): Cancellable;
};

type Cancellable = Disposable & {
  readonly turn: Turn;
  readonly isCancelled: () => boolean;
};

/** Jobs of a cancelled run that come later are of this many runs at most. */
const REMEMBERED_MAX = 1_000;

export function openCancellations(
  subscribe: (onEvent: (event: DaemonEvent) => void) => Disposable,
): Cancellations {
  const cancelled = new Set<string>();
  const active = new Set<{ readonly run: string; readonly stop: AbortController }>();

  const listening = subscribe((event) => {
    if (event.kind !== "cancel") return;
    for (const run of event.runs) remember(cancelled, run);
    for (const { run, stop } of active) if (cancelled.has(run)) stop.abort(reasonOf(run));
  });

  return {
    begin(job, turn) {
      const stop = new AbortController();
      const entry = { run: job.run, stop };
      active.add(entry);
      if (cancelled.has(job.run)) stop.abort(reasonOf(job.run));
      return {
        turn: {
          ...turn,
          signal: AbortSignal.any([turn.signal, stop.signal]),
          async assertStillOurs() {
            stop.signal.throwIfAborted();
            await turn.assertStillOurs();
          },
        },
        isCancelled: () => stop.signal.aborted,
        [Symbol.dispose]: () => void active.delete(entry),
      };
    },
    [Symbol.dispose]: () => listening[Symbol.dispose](),
  };
}

function reasonOf(run: string): TagferryError {
  return new TagferryError("ABORTED", `the run ${run} was cancelled`);
}

function remember(runs: Set<string>, run: string): void {
  runs.add(run);
  const [oldest] = runs;
  if (runs.size > REMEMBERED_MAX && oldest !== undefined) runs.delete(oldest);
}
