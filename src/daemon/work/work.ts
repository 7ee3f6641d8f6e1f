import type { Mirror } from "../../config/config.ts";
import { ERROR_CODES, type ErrorCode } from "../../errors/codes.ts";
import { type Failure, failureOf, isTagferryError, TagferryError } from "../../errors/error.ts";
import { limit } from "../../lib/limit.ts";
import type { Log } from "../../lib/log.ts";
import { applyPlan, type Watch } from "../../sync/apply.ts";
import type { Outcome } from "../../sync/report.ts";
import { planMirrors } from "../../sync/sync.ts";
import { openTarget } from "../../sync/targets/open.ts";
import { withVerifications } from "../../sync/verify.ts";
import type { ActiveConfig } from "../active-config.ts";
import type { ApplyJob, CheckJob, Job } from "../queue/job.ts";
import { RetryLater, type Queue, type Turn } from "../queue/queue.ts";
import type { Records } from "../records/records.ts";

/** Told what was done, for metrics. */
export type Reported = {
  readonly outcome?: (outcome: Outcome, facts: { readonly freshnessMs?: number }) => void;
};

export type WorkerParts = {
  readonly queue: Queue;
  readonly records: Records;
  /** The configuration in force, with its clients. */
  readonly active: () => ActiveConfig;
  readonly log: Log;
  readonly now: () => Date;
  readonly reported: Reported;
};

/** How many unchanged tags one check lets be verified: after an update of Tagferry all of them are due at once. */
const VERIFICATIONS_MAX = 20;
const ATTEMPTS_MAX = 5;
const BACKOFF_BASE_MS = 5_000;
const BACKOFF_MAX_MS = 10 * 60_000;
const PROGRESS_MS = 1_000;
/** How often a layout is tried for that another worker writes, and for how long. */
const TURN_MS = 700;
const TURN_MAX_MS = 10 * 60_000;

/** Does one job: the same functions as `tagferry sync`, with the queue between their halves. */
export async function doJob(job: Job, turn: Turn, parts: WorkerParts): Promise<void> {
  const { records, log, active } = parts;
  using mirror = active().use(job.mirror);
  if (!mirror.found) return; // it was taken out of the configuration
  const quarantine = await records.crashes.enter(job);
  if (quarantine) return isolate(job, parts);
  try {
    if (job.kind === "check") await check(job, mirror.found, mirror.active, turn, parts);
    else await apply(job, mirror.found, mirror.active, turn, parts);
  } catch (error) {
    if (error instanceof RetryLater) throw error;
    turn.signal.throwIfAborted();
    // whatever the records cannot take now, the next check tells again
    if (isTagferryError(error, "QUEUE_AWAY")) throw new RetryLater(BACKOFF_BASE_MS, { counts: false });
    log.error({ err: error, mirror: job.mirror }, `${job.kind} of ${job.mirror} failed`);
    throw error;
  } finally {
    await records.crashes.leave(job).catch(() => {}); // Redis is away: a crash more is counted than there was
  }
}

async function check(
  job: CheckJob,
  mirror: Mirror,
  { context }: ActiveConfig,
  { signal, attempt }: Turn,
  { records, queue, now, log }: WorkerParts,
): Promise<void> {
  const { pausedAt } = await records.mirrors.read(job.mirror);
  if (pausedAt !== undefined && job.cause !== "asked") return;
  if (attempt === 0) await records.runs.begin({ id: job.run, ...job });
  const [planned] = await planMirrors([mirror], context, { signal, now: now() });
  if (!planned) return;
  if (planned.kind === "failed") {
    throwIfRetryable(planned.failure, attempt, log);
    await records.runs.fail(job.run, planned.failure);
    log.error({ mirror: job.mirror, ...shortly(planned.failure) }, `${job.mirror} could not be checked`);
    return;
  }
  const { actions, warnings } = await withVerifications(planned.plan, mirror, context, {
    now: now(),
    most: VERIFICATIONS_MAX,
  });
  const settled = actions.filter(({ kind }) => kind === "keep" || kind === "refuse");
  const work = actions.filter(({ kind }) => kind !== "keep" && kind !== "refuse");
  for (const outcome of await applyPlan({ ...planned.plan, actions: settled }, mirror, context, {
    ...APPLY,
    now: now(),
  })) {
    if ("failure" in outcome) logOutcome(outcome, log);
    await records.runs.outcome(job.run, outcome);
  }
  // what somebody did to the stream says nothing of when the source moved
  const since = job.cause === "stream" ? undefined : (await records.mirrors.read(job.mirror)).lastRunAt;
  const movedAt = job.movedAt ?? since;
  for (const group of openTarget(mirror, context).jobsOf(work))
    await queue.add({
      kind: "apply",
      mirror: job.mirror,
      run: job.run,
      actions: group,
      plannedAt: now().toISOString(),
      ...(movedAt === undefined ? {} : { movedAt }),
    });
  await records.runs.expect(
    job.run,
    actions.map(({ tag }) => tag),
    warnings,
  );
}

const APPLY = { watch: {} as Watch, copies: limit(1_000) };

async function apply(
  job: ApplyJob,
  mirror: Mirror,
  { context }: ActiveConfig,
  turn: Turn,
  { records, now, log, reported }: WorkerParts,
): Promise<void> {
  const startedAt = now();
  const done = await doneSince(job, records);
  if (done) {
    await records.runs.outcome(job.run, done);
    return;
  }
  const plan = { mirror: job.mirror, actions: job.actions, warnings: [] };
  const outcomes = await applyPlan(plan, mirror, context, {
    ...APPLY,
    now: startedAt,
    signal: turn.signal,
    assertStillOurs: () => turn.assertStillOurs(),
    watch: watchFor(job, records, startedAt),
  });
  const [first, ...others] = outcomes;
  throwIfLocked(outcomes, startedAt.getTime() - Date.parse(job.plannedAt), log);
  if (first && others.length === 0 && "failure" in first) throwIfRetryable(first.failure, turn.attempt, log);
  for (const outcome of outcomes) {
    const durationMs = now().getTime() - startedAt.getTime();
    logOutcome(outcome, log, { durationMs });
    const published = outcome.kind === "copied" || outcome.kind === "imported";
    const freshnessMs = job.movedAt === undefined ? undefined : now().getTime() - Date.parse(job.movedAt);
    reported.outcome?.(outcome, published && freshnessMs !== undefined ? { freshnessMs } : {});
    await records.runs.outcome(job.run, outcome);
  }
}

/** Another run has published this very image since this job was planned: there is nothing left to do. */
async function doneSince(
  { mirror, actions, plannedAt }: ApplyJob,
  records: Records,
): Promise<Outcome | undefined> {
  const [first, ...others] = actions;
  if (!first || others.length > 0 || !("image" in first)) return undefined;
  const { digest } = first.image;
  const known = await records.tags.get(mirror, first.tag);
  const isDone = known?.digest === digest && !known.failure && (known.publishedAt ?? "") > plannedAt;
  return isDone ? { kind: "unchanged", mirror, tag: first.tag, digest } : undefined;
}

/** Told at most once a second: who looks on needs no more. */
function watchFor(job: ApplyJob, records: Records, startedAt: Date): Watch {
  const bytes = new Map<string, number>();
  const totals = new Map<string, number>();
  let toldMs = 0;
  return {
    copying({ tag }, event) {
      if (event.kind === "planned") totals.set(tag, event.bytes);
      if (event.kind !== "bytes") return;
      bytes.set(tag, (bytes.get(tag) ?? 0) + event.bytes);
      if (performance.now() - toldMs < PROGRESS_MS) return;
      toldMs = performance.now();
      const totalBytes = totals.get(tag);
      const progress = {
        mirror: job.mirror,
        tag,
        bytes: bytes.get(tag) ?? 0,
        startedAt: startedAt.toISOString(),
        ...(totalBytes === undefined ? {} : { totalBytes }),
      };
      records.progress.note(progress).catch(() => {}); // only to be looked at
    },
    outcome({ tag }) {
      if (bytes.has(tag)) records.progress.end({ mirror: job.mirror, tag }).catch(() => {}); // as above
    },
  };
}

/** Another worker writes the layout: it gives it back when it is done, or it is no worker of ours. */
function throwIfLocked(outcomes: readonly Outcome[], waitedMs: number, log: Log): void {
  const locked = outcomes.find((outcome) => "failure" in outcome && outcome.failure.code === "LAYOUT_LOCKED");
  if (!locked || !("failure" in locked) || waitedMs > TURN_MAX_MS) return;
  log.debug({ code: locked.failure.code }, `waits for its turn: ${locked.failure.message}`);
  throw new RetryLater(TURN_MS * (0.5 + Math.random()), { counts: false });
}

/** Gives the job back where trying again may help, as late as the registry wishes. */
function throwIfRetryable({ code, message, details }: Failure, attempt: number, log: Log): void {
  const { retryAt } = details as { readonly retryAt?: string };
  if (!("retry" in ERROR_CODES[code]) || attempt >= ATTEMPTS_MAX || code === "DISK_FULL") return;
  const backoffMs = Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** attempt) * (0.5 + Math.random());
  const untilMs = retryAt === undefined ? 0 : Date.parse(retryAt) - Date.now();
  const delayMs = Math.round(Math.max(backoffMs, untilMs));
  log.info({ code, delayMs }, `again later: ${message}`);
  throw new RetryLater(delayMs);
}

async function isolate(job: Job, { records, log }: WorkerParts): Promise<void> {
  const code: ErrorCode = "QUARANTINED";
  const failure = failureOf(
    new TagferryError(code, `${job.mirror}: this work ended its worker three times`, { where: job.mirror }),
  );
  log.error({ mirror: job.mirror, code }, failure.message);
  if (job.kind === "check") {
    await records.runs.begin({ id: job.run, ...job });
    await records.runs.fail(job.run, failure);
    return;
  }
  for (const { tag } of job.actions)
    await records.runs.outcome(job.run, { kind: "refused", mirror: job.mirror, tag, failure });
}

/** One line per outcome; a flip of a tag says what it was before. */
function logOutcome(outcome: Outcome, log: Log, facts: { readonly durationMs?: number } = {}): void {
  const { mirror, tag, kind } = outcome;
  const line = {
    mirror,
    tag,
    outcome: kind,
    ...facts,
    ...("digest" in outcome ? { digest: outcome.digest } : {}),
    ...("replaced" in outcome ? { replaced: outcome.replaced } : {}),
    ...("moved" in outcome ? { bytes: outcome.moved.bytes } : {}),
  };
  if ("failure" in outcome)
    log.error(
      { ...line, ...shortly(outcome.failure) },
      `${mirror}:${tag} ${kind}: ${outcome.failure.message}`,
    );
  else log.info(line, `${mirror}:${tag} ${kind}`);
}

function shortly({ code, message, next }: Failure): object {
  return { code, message, next };
}
