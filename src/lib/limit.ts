import type { Cancellable } from "./cancel.ts";
import { openSemaphore } from "./semaphore.ts";

export type Limit = <T>(task: () => Promise<T>, options?: Cancellable) => Promise<T>;

/** At most `width` tasks at a time; the rest wait in the order they came, and leave the line when `signal` aborts. */
export function limit(width: number): Limit {
  const semaphore = openSemaphore(width);
  return async (task, options = {}) => {
    using place = await semaphore.acquire(options);
    return await task();
  };
}

/**
 * Runs `task` on every item, at most `width` at a time, and yields results as they come, in no order.
 *
 * The first failure ends it: what is under way is awaited, nothing new starts.
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
      work.catch(() => {}); // observed by the race below, or by allSettled
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
