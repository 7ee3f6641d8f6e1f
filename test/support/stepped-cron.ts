import type { Schedule } from "../../src/config/config.ts";
import { type Cron, missedSince, nodeCron } from "../../src/daemon/triggers/cron.ts";
import { SILENT } from "./registry/client.ts";

export type SteppedCron = Cron & {
  /** Makes the time pass, minute by minute: what is due is told in its order. */
  pass(minutes: number): void;
};

/** A clock that the test moves. What is due, node-cron says. */
export function steppedCron(start: Date): SteppedCron {
  let now = start;
  const tasks = new Set<{ readonly schedule: Schedule; readonly onDue: (dueAt: Date) => void }>();
  const real = nodeCron(SILENT);
  return {
    now: () => now,
    every(schedule, onDue) {
      const task = { schedule, onDue };
      tasks.add(task);
      return { [Symbol.dispose]: () => void tasks.delete(task) };
    },
    next: (schedule, count) => real.next(schedule, count),
    missed: (schedule, after) => missedSince(schedule, after, now),
    pass(minutes) {
      for (let minute = 0; minute < minutes; minute += 1) {
        const before = now;
        now = new Date(now.getTime() + 60_000);
        for (const { schedule, onDue } of tasks) {
          const due = missedSince(schedule, before, now);
          if (due) onDue(due);
        }
      }
    },
  };
}
