import type { Failure } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import type { Outcome } from "../../sync/report.ts";
import type { WorkerParts } from "./parts.ts";

/** What an answer that is out of date costs: a source that tells another digest each time is not asked without a pause. */
const CHECK_AGAIN_MS = 2_000;

export type Settled = { readonly mirror: string; readonly run: string; readonly reading: number };

/** Records what became of tags, and has the mirror checked again where the target may now be behind its source. */
export async function settle(
  { mirror, run, reading }: Settled,
  outcomes: readonly Outcome[],
  parts: WorkerParts,
): Promise<void> {
  const { records } = parts;
  const standings = await Promise.all(outcomes.map((outcome) => records.tags.note(outcome, reading)));
  await records.runs.outcome(run, ...outcomes);
  if (standings.includes("behind")) await checkAgain(mirror, reading, parts);
}

/** The plan of this reading is out of date: the mirror is read again. Asked several times for one reading, it is done once. */
export async function checkAgain(
  mirror: string,
  reading: number,
  { requestCheck, log }: WorkerParts,
): Promise<void> {
  log.info({ mirror }, `${mirror} moved while it was mirrored: it is checked again`);
  await requestCheck(mirror, "retry", { occasion: `moved-${reading}`, delayMs: CHECK_AGAIN_MS });
}

/** One line per outcome; when a tag changes, the line says what it was before. */
export function logOutcome(outcome: Outcome, log: Log, facts: { readonly durationMs?: number } = {}): void {
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
    log.error({ ...line, ...brief(outcome.failure) }, `${mirror}:${tag} ${kind}: ${outcome.failure.message}`);
  else log.info(line, `${mirror}:${tag} ${kind}`);
}

export function brief({ code, message, next }: Failure): object {
  return { code, message, next };
}
