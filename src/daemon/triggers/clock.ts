/** The clock of the scheduler. Tests use another one. */
export type Clock = {
  /** The wall clock, which may jump. */
  now(): Date;
  /** Monotonic ms, which never jump. */
  elapsedMs(): number;
  /** Calls back about once a second, right after the second began. */
  everySecond(onTick: () => void): Disposable;
};

export const SYSTEM_CLOCK: Clock = {
  now: () => new Date(),
  elapsedMs: () => performance.now(),
  everySecond(onTick) {
    let timer: NodeJS.Timeout;
    const wait = (): void => {
      timer = setTimeout(
        () => {
          wait();
          onTick();
        },
        1_000 - (Date.now() % 1_000),
      ).unref();
    };
    wait();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};
