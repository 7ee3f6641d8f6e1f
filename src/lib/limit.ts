import type { Cancellable } from "./cancel.ts";

export type Limit = <T>(task: () => Promise<T>, options?: Cancellable) => Promise<T>;

/** At most `width` tasks at a time; the rest wait in the order they came, and leave the line when `signal` aborts. */
export function limit(width: number): Limit {
  const waiting = new Set<() => void>();
  let free = width;

  const enter = ({ signal }: Cancellable): Promise<void> => {
    signal?.throwIfAborted();
    if (free > 0) {
      free -= 1;
      return Promise.resolve();
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const go = (): void => {
      signal?.removeEventListener("abort", giveUp);
      resolve();
    };
    const giveUp = (): void => {
      waiting.delete(go);
      reject(signal?.reason);
    };
    waiting.add(go);
    signal?.addEventListener("abort", giveUp, { once: true });
    return promise;
  };

  const leave = (): void => {
    const [next] = waiting;
    if (next === undefined) {
      free += 1;
      return;
    }
    waiting.delete(next);
    next();
  };

  return async (task, options = {}) => {
    await enter(options);
    try {
      return await task();
    } finally {
      leave();
    }
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
