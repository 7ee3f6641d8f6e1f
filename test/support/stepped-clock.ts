import type { Clock } from "../../src/daemon/triggers/clock.ts";

export type SteppedClock = Clock & {
  /** Lets time pass, minute by minute. */
  pass(minutes: number): void;
  /** Sets the wall clock forward or back by this time; no time passes. */
  jump(minutes: number): void;
  /** Time passes without ticks in between, as when a process is stopped. */
  sleep(minutes: number): void;
  /** Only the wall clock moves forward, as when a machine is suspended. */
  suspend(minutes: number): void;
};

const MINUTE_MS = 60_000;

/** A clock that the test moves. */
export function steppedClock(start: Date): SteppedClock {
  let wallMs = start.getTime();
  let elapsedMs = 0;
  const ticks = new Set<() => void>();
  const tick = (): void => {
    for (const onTick of ticks) onTick();
  };
  return {
    now: () => new Date(wallMs),
    elapsedMs: () => elapsedMs,
    everySecond(onTick) {
      ticks.add(onTick);
      return { [Symbol.dispose]: () => void ticks.delete(onTick) };
    },
    pass(minutes) {
      for (let minute = 0; minute < minutes; minute += 1) {
        wallMs += MINUTE_MS;
        elapsedMs += MINUTE_MS;
        tick();
      }
    },
    jump(minutes) {
      wallMs += minutes * MINUTE_MS;
      tick();
    },
    sleep(minutes) {
      wallMs += minutes * MINUTE_MS;
      elapsedMs += minutes * MINUTE_MS;
      tick();
    },
    suspend(minutes) {
      wallMs += minutes * MINUTE_MS;
      tick();
    },
  };
}
