import type { Mirror } from "../../config/config.ts";
import type { Failure } from "../../errors/error.ts";
import { limit } from "../../lib/limit.ts";
import type { Action } from "../../plan/action.ts";
import { applyPlan } from "../../sync/apply.ts";
import type { Planned } from "../../sync/check.ts";
import { withVerifications } from "../../sync/proofs/plan-verifications.ts";
import { planMirrors } from "../../sync/sync.ts";
import { openTarget } from "../../sync/targets/open.ts";
import type { ActiveConfig } from "../active-config.ts";
import type { CheckJob } from "../queue/job.ts";
import { RetryLater, type Turn } from "../queue/queue.ts";
import type { WorkerParts } from "./parts.ts";
import { retryDelayMs } from "./retry-job.ts";
import { brief, logOutcome, settle } from "./settle.ts";

/** The most unchanged tags that one check verifies. After an update of Tagferry, all of them may be due at once. */
const VERIFICATIONS_MAX = 20;

/** The first half of the flow for one mirror: plans, records the tags in place, and queues a job for each other tag. */
export async function check(
  job: CheckJob,
  mirror: Mirror,
  active: ActiveConfig,
  turn: Turn,
  parts: WorkerParts,
): Promise<void> {
  const { records } = parts;
  const { pausedAt } = await records.mirrors.read(job.mirror);
  if (pausedAt !== undefined && job.cause !== "asked") return;
  if (turn.attempt === 0) await records.runs.begin({ id: job.run, ...job });
  // taken before the source is asked, because the answer does not contain later changes
  const reading = await nextReading(job.mirror, parts);
  const { signal } = turn;
  const [planned] = await planMirrors([mirror], active.context, {
    signal,
    now: parts.now(),
    clock: parts.now,
  });
  if (!planned) return;
  // after a suspension, another worker may have published something that this plan does not know
  await turn.assertStillOurs();
  if (planned.kind === "failed") {
    turn.signal.throwIfAborted();
    return fail(job, planned.failure, turn, parts);
  }
  await queueWork(job, { ...planned, reading }, active, parts);
}

/** A number that somebody else wrote as a confirmed reading must not make all later readings look old. */
async function nextReading(mirror: string, { records }: WorkerParts): Promise<number> {
  const confirmed = await records.tags.confirmed(mirror);
  return records.mirrors.nextReading(mirror, Math.max(0, ...confirmed.values()));
}

/** Gives the job back and records why, if another attempt may help. Otherwise the run has failed. */
async function fail(
  job: CheckJob,
  failure: Failure,
  { attempt }: Turn,
  { records, now, log }: WorkerParts,
): Promise<void> {
  const delayMs = retryDelayMs(failure, attempt);
  if (delayMs === undefined) {
    await records.runs.fail(job.run, failure);
    log.error({ mirror: job.mirror, ...brief(failure) }, `${job.mirror} could not be checked`);
    return;
  }
  const at = now();
  const nextAt = new Date(at.getTime() + delayMs).toISOString();
  await records.mirrors.retries(job.mirror, { failure, attempt: attempt + 1, at: at.toISOString(), nextAt });
  log.warn(
    { mirror: job.mirror, attempt: attempt + 1, delayMs, ...brief(failure) },
    `${job.mirror} could not be checked and is tried again: ${failure.message}`,
  );
  throw new RetryLater(delayMs);
}

const isSettled = ({ kind }: Action): boolean => kind === "keep" || kind === "refuse";

type Found = Extract<Planned, { readonly kind: "planned" }> & { readonly reading: number };

async function queueWork(
  job: CheckJob,
  { mirror, plan, digestTags, reading }: Found,
  { context }: ActiveConfig,
  parts: WorkerParts,
): Promise<void> {
  const { records, queue, now, log } = parts;
  const { actions, warnings } = await withVerifications(plan, mirror, context, {
    now: now(),
    digestTags,
    most: VERIFICATIONS_MAX,
  });
  const settled = await applyPlan({ ...plan, actions: actions.filter(isSettled) }, mirror, context, {
    watch: {},
    copies: limit(1),
    now: now(),
  });
  for (const outcome of settled) if ("failure" in outcome) logOutcome(outcome, log);
  // a change of the stream says nothing about when the source moved
  const since = job.cause === "stream" ? undefined : (await records.mirrors.read(job.mirror)).lastRunAt;
  const movedAt = job.movedAt ?? since;
  await settle({ ...job, reading }, settled, parts);
  for (const group of openTarget(mirror, context).jobsOf(actions.filter((action) => !isSettled(action))))
    await queue.add({
      kind: "apply",
      mirror: job.mirror,
      run: job.run,
      actions: group,
      reading,
      plannedAt: now().toISOString(),
      ...(movedAt === undefined ? {} : { movedAt }),
    });
  await records.runs.expect(
    job.run,
    actions.map(({ tag }) => tag),
    warnings,
  );
}
