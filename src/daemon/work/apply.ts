import type { Mirror } from "../../config/config.ts";
import { TagferryError } from "../../errors/error.ts";
import { limit } from "../../lib/limit.ts";
import type { Action } from "../../plan/action.ts";
import { include } from "../../plan/select.ts";
import type { Watch } from "../../sync/apply-options.ts";
import { applyPlan } from "../../sync/apply.ts";
import type { Outcome } from "../../sync/report.ts";
import type { ActiveConfig } from "../active-config.ts";
import type { ApplyJob } from "../queue/job.ts";
import { RetryLater, type Turn } from "../queue/queue.ts";
import type { TagRecord } from "../records/record-types.ts";
import type { Records } from "../records/records.ts";
import type { WorkerParts } from "./parts.ts";
import { retryDelayMs, throwIfLocked } from "./retry-job.ts";
import { checkAgain, logOutcome, settle } from "./settle.ts";

const PROGRESS_MS = 1_000;

/** The second half of the flow, for the tags of one job. */
export async function apply(
  job: ApplyJob,
  mirror: Mirror,
  { context }: ActiveConfig,
  turn: Turn,
  parts: WorkerParts,
): Promise<void> {
  const { records, now } = parts;
  const startedAt = now();
  assertSelectable(job, mirror);
  const { due, answered } = await sortOut(job, records);
  if (answered.length > 0) await records.runs.outcome(job.run, ...answered);
  if (due.length === 0) return;
  const outcomes = await applyPlan({ mirror: job.mirror, actions: due, warnings: [] }, mirror, context, {
    copies: limit(due.length),
    now: startedAt,
    clock: now,
    signal: turn.signal,
    watch: watchFor(job, records, startedAt),
    occasion: `${job.mirror} ${job.reading}`,
    async assertStillOurs() {
      await turn.assertStillOurs();
      await assertNewest(job, due, records);
    },
  });
  throwIfLocked(outcomes, startedAt.getTime() - Date.parse(job.plannedAt));
  await throwIfRetryable(outcomes, turn, parts);
  await report(job, outcomes, startedAt, parts);
}

const hasMoved = (outcome: Outcome): boolean =>
  "failure" in outcome && outcome.failure.code === "SOURCE_MOVED";

async function report(
  job: ApplyJob,
  outcomes: readonly Outcome[],
  startedAt: Date,
  parts: WorkerParts,
): Promise<void> {
  const { now, log, reported } = parts;
  const settled = outcomes.filter((outcome) => !hasMoved(outcome));
  for (const outcome of settled) {
    const durationMs = now().getTime() - startedAt.getTime();
    logOutcome(outcome, log, { durationMs });
    const published = outcome.kind === "copied" || outcome.kind === "imported";
    const freshnessMs = job.movedAt === undefined ? undefined : now().getTime() - Date.parse(job.movedAt);
    reported.outcome?.(outcome, published && freshnessMs !== undefined ? { freshnessMs } : {});
  }
  await settle(job, settled, parts);
  await noteWork(job, settled, parts).catch(() => {}); // only shown
  const tags = settled.map(({ tag }) => tag);
  await parts.records.mirrors.retried(job.mirror, tags);
  // the outcome of the next check also counts for this run
  if (outcomes.some(hasMoved)) await checkAgain(job.mirror, job.reading, parts);
}

/** For the strips of the page. */
async function noteWork(
  job: ApplyJob,
  outcomes: readonly Outcome[],
  { records, now }: WorkerParts,
): Promise<void> {
  const published = outcomes.filter(({ kind }) => kind === "copied" || kind === "imported").length;
  const bytes = outcomes.reduce((sum, one) => sum + ("moved" in one ? one.moved.bytes : 0), 0);
  const { mirror, movedAt } = job;
  const freshnessMs = movedAt === undefined ? undefined : now().getTime() - Date.parse(movedAt);
  await records.days.note(mirror, { bytes, published, freshnessMs });
}

/**
 * Applies the tag rules again, so that a job from the queue writes only tags that the configuration selects.
 *
 * @throws {TagferryError} JOB_INVALID
 */
function assertSelectable({ actions, mirror: name }: ApplyJob, { tags }: Mirror): void {
  const published = actions
    .filter(({ kind }) => kind === "create" || kind === "update" || kind === "push")
    .map(({ from }) => from.tag);
  const selected = new Set(
    tags.kind === "exact"
      ? tags.tags
      : include(
          tags,
          published.map((tag) => ({ tag })),
        ).kept.map(({ tag }) => tag),
  );
  const foreign = published.find((tag) => !selected.has(tag));
  if (foreign === undefined) return;
  throw new TagferryError("JOB_INVALID", `a job of ${name} names a tag that its rules do not select`, {
    where: name,
    found: foreign,
  });
}

type Sorted = { readonly due: readonly Action[]; readonly answered: readonly Outcome[] };

/** Leaves out tags that a later reading has answered, and images that were published since the plan was made. */
async function sortOut({ mirror, actions, reading }: ApplyJob, records: Records): Promise<Sorted> {
  const confirmed = await records.tags.confirmed(mirror);
  const due: Action[] = [];
  const answered: Outcome[] = [];
  for (const action of actions) {
    if (action.kind === "push") {
      due.push(action); // publishes nothing, so nothing newer can be overwritten
      continue;
    }
    const known = await records.tags.get(mirror, action.tag);
    if ((confirmed.get(action.tag) ?? 0) > reading || isPublishedSince(reading, action, known))
      answered.push(answerOf(mirror, action.tag, known));
    else due.push(action);
  }
  return { due, answered };
}

/** This image was published after the plan was read, perhaps by an earlier attempt of this job. */
function isPublishedSince(reading: number, action: Action, known: TagRecord | undefined): boolean {
  if (!("image" in action) || known?.digest !== action.image.digest || known.failure) return false;
  return known.publishedBefore !== undefined && known.publishedBefore > reading;
}

function answerOf(mirror: string, tag: string, known: TagRecord | undefined): Outcome {
  if (known?.digest === undefined) return { kind: "missing", mirror, tag };
  return { kind: "unchanged", mirror, tag, digest: known.digest };
}

/**
 * Called immediately before something is published.
 *
 * @throws {TagferryError} SOURCE_MOVED when a later reading was published or found in place meanwhile
 */
async function assertNewest(
  { mirror, reading }: ApplyJob,
  due: readonly Action[],
  records: Records,
): Promise<void> {
  const confirmed = await records.tags.confirmed(mirror);
  const older = due.find(({ tag }) => (confirmed.get(tag) ?? 0) > reading);
  if (!older) return;
  throw new TagferryError("SOURCE_MOVED", `${mirror}:${older.tag} was read again since this was planned`, {
    where: `${mirror}:${older.tag}`,
  });
}

/** Gives a job of one tag back, if another attempt may help. Failed tags of a larger job wait for the next check. */
async function throwIfRetryable(
  outcomes: readonly Outcome[],
  { attempt }: Turn,
  { log, now, records }: WorkerParts,
): Promise<void> {
  const [first, ...others] = outcomes;
  if (!first || others.length > 0 || !("failure" in first)) return;
  const { failure, mirror, tag } = first;
  const delayMs = failure.code === "SOURCE_MOVED" ? undefined : retryDelayMs(failure, attempt);
  if (delayMs === undefined) return;
  const at = now();
  const nextAt = new Date(at.getTime() + delayMs).toISOString();
  const retrying = { failure, attempt: attempt + 1, at: at.toISOString(), nextAt, tag };
  await records.mirrors.retries(mirror, retrying);
  log.info(
    { mirror, tag, code: failure.code, delayMs },
    `${mirror}:${tag} is tried again: ${failure.message}`,
  );
  throw new RetryLater(delayMs);
}

/** Records progress at most once per second. */
function watchFor(job: ApplyJob, records: Records, startedAt: Date): Watch {
  const bytes = new Map<string, number>();
  const totals = new Map<string, number>();
  let reportedMs = 0;
  return {
    copying({ tag }, event) {
      if (event.kind === "planned") totals.set(tag, event.bytes);
      if (event.kind !== "bytes") return;
      bytes.set(tag, (bytes.get(tag) ?? 0) + event.bytes);
      if (performance.now() - reportedMs < PROGRESS_MS) return;
      reportedMs = performance.now();
      const totalBytes = totals.get(tag);
      const progress = {
        mirror: job.mirror,
        tag,
        bytes: bytes.get(tag) ?? 0,
        startedAt: startedAt.toISOString(),
        ...(totalBytes === undefined ? {} : { totalBytes }),
      };
      records.progress.note(progress).catch(() => {}); // only for display
    },
    outcome({ tag }) {
      // also if nothing was sent: a killed worker may have left a record
      records.progress.end({ mirror: job.mirror, tag }).catch(() => {}); // as above
    },
  };
}
