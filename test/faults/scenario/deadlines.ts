/**
 * The deadlines that are held, in milliseconds. They are far above what a healthy run takes on a busy machine of two
 * cores: a run that exceeds one hangs.
 */
export const DEADLINES = {
  /** One run with faults, in which the registries answer immediately, correctly or not. */
  run: 150_000,
  /** One run with requests that are never answered: three in a row, one minute each, and the run itself. */
  slowRun: 300_000,
  /** A run without any fault. */
  cleanRun: 60_000,
  /** Mirrors beside a dead one are in place. */
  beside: 60_000,
  /** A daemon says where it listens. */
  daemonStart: 60_000,
  /** From the last fault and the last move until the daemon is up to date. */
  quiet: 120_000,
  /** Until a mirror that is up to date has the state `fresh`. */
  state: 30_000,
  /** From SIGTERM to the end of the process: the grace period and some seconds. */
  daemonStop: 45_000,
} as const;
