import type { Run } from "../../daemon/records/record-types.ts";
import type { MirrorStatus } from "../../daemon/view/view.ts";

/** How far a run is. */
export type RunProgress = {
  readonly done: number;
  /** undefined while the mirror is still being checked. */
  readonly expected?: number;
  /** Sent since the run began. */
  readonly bytes: number;
  /** Since the run began; 0 when nothing was sent. */
  readonly bytesPerSecond: number;
  /** An estimate; undefined while there is nothing to estimate from. */
  readonly remainingMs?: number;
};

/** An estimate from less than this is a guess. */
const OBSERVED_MIN_MS = 3_000;

/**
 * The tags that were found in place took no time, so only those that were copied say how long the rest takes: as many bytes for each
 * tag, at the rate of now.
 */
export function runProgress(
  { outcomes, expected, startedAt }: Pick<Run, "outcomes" | "expected" | "startedAt">,
  underWay: MirrorStatus["underWay"],
  now: Date,
): RunProgress {
  const moved = outcomes.flatMap((outcome) => ("moved" in outcome ? outcome.moved.bytes : []));
  const sending = underWay.reduce((sum, { bytes }) => sum + bytes, 0);
  const bytes = moved.reduce((sum, one) => sum + one, 0) + sending;
  const elapsedMs = Math.max(0, now.getTime() - Date.parse(startedAt));
  const current = underWay.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0);
  const bytesPerSecond = current > 0 ? current : elapsedMs > 0 ? (bytes / elapsedMs) * 1_000 : 0;
  const remaining = remainingBytes({ moved, expected, done: outcomes.length }, underWay);
  const estimable = remaining !== undefined && bytesPerSecond > 0 && elapsedMs >= OBSERVED_MIN_MS;
  return {
    done: outcomes.length,
    bytes,
    bytesPerSecond: Math.round(bytesPerSecond),
    ...(expected === undefined ? {} : { expected }),
    ...(estimable ? { remainingMs: (remaining / bytesPerSecond) * 1_000 } : {}),
  };
}

type Counted = {
  readonly moved: readonly number[];
  readonly expected: number | undefined;
  readonly done: number;
};

function remainingBytes(
  { moved, expected, done }: Counted,
  underWay: MirrorStatus["underWay"],
): number | undefined {
  if (expected === undefined) return undefined;
  const totals = underWay.flatMap(({ totalBytes }) => totalBytes ?? []);
  const sizes = [...moved, ...totals];
  if (sizes.length === 0) return undefined;
  const average = sizes.reduce((sum, one) => sum + one, 0) / sizes.length;
  const started = underWay.reduce(
    (sum, { bytes, totalBytes = average }) => sum + Math.max(0, totalBytes - bytes),
    0,
  );
  const untouched = Math.max(0, expected - done - underWay.length);
  return started + untouched * average;
}
