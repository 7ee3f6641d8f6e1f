/**
 * The deadlines that are held, in milliseconds. They are far above what a healthy run takes on a busy machine of two cores:
 * a run that passes one stands still.
 */
export const DEADLINES = {
  /** One faulty run whose registries answer at once, rightly or wrongly. */
  run: 150_000,
  /** One faulty run with requests that are never answered: three of them in a row, a minute each, and the run. */
  slowRun: 300_000,
  /** A run without any fault. */
  cleanRun: 60_000,
  /** Mirrors beside a dead one are in place. */
  beside: 60_000,
  /** A daemon says where it listens. */
  daemonStart: 60_000,
  /** After the last fault and the last move, a daemon is in step. */
  quiet: 120_000,
  /** What is in step is shown as fresh. */
  state: 30_000,
  /** SIGTERM to the end: the grace and some seconds. */
  daemonStop: 45_000,
} as const;
