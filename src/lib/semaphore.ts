import type { Cancellable } from "./cancel.ts";

/** So many places, given out in the order in which they were asked for. */
export type Semaphore = {
  /** Waits for a place. Disposing gives it back, once. An abort leaves the line, and rejects with the signal's reason. */
  acquire(options?: Cancellable): Promise<Disposable>;
  /** How many places are given out. */
  inUse(): number;
};

export function openSemaphore(places: number): Semaphore {
  const waiting = new Set<() => void>();
  let free = places;

  const leave = (): void => {
    const [next] = waiting;
    if (next === undefined) {
      free += 1;
      return;
    }
    waiting.delete(next);
    next();
  };

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

  return {
    inUse: () => places - free,
    async acquire(options = {}) {
      await enter(options);
      let held = true;
      return {
        [Symbol.dispose]: () => {
          if (held) leave();
          held = false;
        },
      };
    },
  };
}

/** A semaphore of one place for each key. A key that nobody holds or waits for takes no memory. */
export type KeyedMutex = {
  acquire(key: string, options?: Cancellable): Promise<Disposable>;
};

export function openKeyedMutex(): KeyedMutex {
  type User = { readonly semaphore: Semaphore; users: number };
  const byKey = new Map<string, User>();
  return {
    async acquire(key, options) {
      const entry = byKey.get(key) ?? { semaphore: openSemaphore(1), users: 0 };
      byKey.set(key, entry);
      entry.users += 1;
      const leave = (): void => {
        entry.users -= 1;
        if (entry.users === 0) byKey.delete(key);
      };
      try {
        const place = await entry.semaphore.acquire(options);
        let held = true;
        return {
          [Symbol.dispose]: () => {
            if (held) leave();
            held = false;
            place[Symbol.dispose]();
          },
        };
      } catch (error) {
        leave();
        throw error;
      }
    },
  };
}
