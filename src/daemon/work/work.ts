import { failureOf, isTagferryError, TagferryError } from "../../errors/error.ts";
import type { Job } from "../queue/job.ts";
import { RetryLater, type Turn } from "../queue/queue.ts";
import { apply } from "./apply.ts";
import { check } from "./check.ts";
import type { WorkerParts } from "./parts.ts";
import { BACKOFF_BASE_MS, throwIfUnknown } from "./retry-job.ts";

/** Does one job, with the functions that `tagferry sync` uses too. */
export async function doJob(job: Job, turn: Turn, parts: WorkerParts): Promise<void> {
  const { records, log, active, cancellations } = parts;
  using mirror = active().use(job.mirror);
  if (!mirror.found) {
    throwIfUnknown(turn.attempt);
    log.warn(
      { mirror: job.mirror },
      `no mirror ${job.mirror} in the configuration: its ${job.kind} is dropped`,
    );
    return;
  }
  const quarantine = await records.crashes.enter(job);
  if (quarantine) return await isolate(job, parts);
  using cancellable = cancellations.begin(job, turn);
  try {
    cancellable.turn.signal.throwIfAborted();
    if (job.kind === "check") await check(job, mirror.found, mirror.active, cancellable.turn, parts);
    else await apply(job, mirror.found, mirror.active, cancellable.turn, parts);
  } catch (error) {
    if (cancellable.isCancelled() && !turn.signal.aborted) return;
    if (error instanceof RetryLater) throw error;
    turn.signal.throwIfAborted();
    // the next attempt records it
    if (isTagferryError(error, "QUEUE_AWAY")) throw new RetryLater(BACKOFF_BASE_MS, { counts: false });
    log.error({ err: error, mirror: job.mirror }, `${job.kind} of ${job.mirror} failed`);
    throw error;
  } finally {
    await records.crashes.leave(job).catch(() => {}); // Redis is away: a crash is counted that did not happen
  }
}

/** Refuses quarantined work until a person releases it. */
async function isolate(job: Job, { records, log }: WorkerParts): Promise<void> {
  const failure = failureOf(
    new TagferryError("QUARANTINED", `${job.mirror}: this work ended its worker three times`, {
      where: job.mirror,
    }),
  );
  log.error({ mirror: job.mirror, code: failure.code }, failure.message);
  if (job.kind === "check") {
    await records.runs.begin({ id: job.run, ...job });
    await records.runs.fail(job.run, failure);
    return;
  }
  const { mirror, run, reading } = job;
  for (const { tag } of job.actions) {
    await records.tags.note({ kind: "refused", mirror, tag, failure }, reading);
    await records.runs.outcome(run, { kind: "refused", mirror, tag, failure });
  }
}
