/**
 * A time in the future that is shown as `at`. Whether it has come is told by the monotonic clock, because somebody may
 * set the wall clock: what rests for a minute would rest for an hour when the clock goes back by an hour.
 */
export type Moment = {
  readonly at: Date;
  /** Milliseconds until then. 0 or less: it has come. */
  restMs(): number;
};

export function momentAt(at: Date): Moment {
  const monotonicMs = performance.now() + at.getTime() - Date.now();
  return { at, restMs: () => monotonicMs - performance.now() };
}

export function momentIn(durationMs: number): Moment {
  return momentAt(new Date(Date.now() + durationMs));
}
