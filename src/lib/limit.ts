import type { Cancellable } from "./cancel.ts";
import { openSemaphore } from "./semaphore.ts";

export type Limit = <T>(task: () => Promise<T>, options?: Cancellable) => Promise<T>;

/**
 * Runs at most `width` tasks at once. The others wait in the order of their calls, and stop waiting when `signal`
 * aborts.
 */
export function limit(width: number): Limit {
  const semaphore = openSemaphore(width);
  return async (task, options = {}) => {
    using place = await semaphore.acquire(options);
    return await task();
  };
}

/**
 * Runs `task` for every item, at most `width` at once. Yields the results as they complete, in no fixed order.
 *
 * The first failure ends it: no new task starts, and running tasks are awaited.
 */
export async function* mapConcurrently<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  width: number,
  task: (item: T) => Promise<R>,
): AsyncGenerator<R, void, void> {
  const running = new Map<number, Promise<{ readonly id: number; readonly result: R }>>();
  let next = 0;
  try {
    for await (const item of items) {
      const id = next++;
      const work = task(item).then((result) => ({ id, result }));
      work.catch(() => {}); // the race below or allSettled handles a rejection
      running.set(id, work);
      if (running.size < width) continue;
      const done = await Promise.race(running.values());
      running.delete(done.id);
      yield done.result;
    }
    while (running.size > 0) {
      const done = await Promise.race(running.values());
      running.delete(done.id);
      yield done.result;
    }
  } finally {
    await Promise.allSettled(running.values());
  }
}
