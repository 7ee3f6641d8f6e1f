/** How fast bytes were sent during the last seconds. */
export type Rate = {
  add(bytes: number): void;
  bytes(): number;
  /** undefined during the first second after the first byte, because the number would be a guess. */
  bytesPerSecond(): number | undefined;
};

/** Long enough to smooth the pauses between blobs, short enough to follow a change. */
const WINDOW_MS = 6_000;
const MEASURED_MIN_MS = 1_000;
const SAMPLE_MS = 100;

export function openRate(now: () => number): Rate {
  const samples: { readonly atMs: number; readonly bytes: number }[] = [];
  let bytes = 0;

  /** Keeps one sample that is older than the window: the rate is measured from there. */
  function sample(atMs: number): void {
    const last = samples.at(-1);
    if (last === undefined || atMs - last.atMs >= SAMPLE_MS) samples.push({ atMs, bytes });
    while ((samples[1]?.atMs ?? Infinity) <= atMs - WINDOW_MS) samples.shift();
  }

  return {
    add(more) {
      sample(now());
      bytes = Math.max(0, bytes + more);
    },
    bytes: () => bytes,
    bytesPerSecond() {
      const atMs = now();
      const [first] = samples;
      if (first === undefined || atMs - first.atMs < MEASURED_MIN_MS) return undefined;
      sample(atMs);
      const oldest = samples[0] ?? first;
      const rate = ((bytes - oldest.bytes) / (atMs - oldest.atMs)) * 1000;
      return rate > 0 ? rate : undefined;
    },
  };
}
