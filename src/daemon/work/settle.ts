import type { Failure } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import type { Outcome } from "../../sync/report.ts";
import type { WorkerParts } from "./parts.ts";

/** The pause before a repeated check. The source may have another digest at each reading. */
const CHECK_AGAIN_MS = 2_000;

export type Settled = { readonly mirror: string; readonly run: string; readonly reading: number };

/** Records outcomes of tags. If the target may be older than the source now, requests another check. */
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

/** Requests another check, once for each reading, because the plan of this reading is out of date. */
export async function checkAgain(
  mirror: string,
  reading: number,
  { requestCheck, log }: WorkerParts,
): Promise<void> {
  log.info({ mirror }, `${mirror} moved while it was mirrored: it is checked again`);
  await requestCheck(mirror, "retry", { occasion: `moved-${reading}`, delayMs: CHECK_AGAIN_MS });
}

/** One line per outcome. If a tag changes, the line contains its previous digest. */
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
