import type { Cancellable } from "./cancel.ts";

/** A fixed number of places, given out in the order of the requests. */
export type Semaphore = {
  /**
   * Waits for free places. Disposing gives them back, once. When `signal` aborts, the request is withdrawn and
   * rejects with the signal's reason. A request for more places than exist gets all of them.
   */
  acquire(options?: AcquireOptions): Promise<Disposable>;
  /** Free places at once, without passing a request that waits; undefined when there are not enough. */
  tryAcquire(places: number): Disposable | undefined;
  /** The number of places that are given out. */
  inUse(): number;
};

/** `places`: default 1. */
export type AcquireOptions = Cancellable & { readonly places?: number };

type Waiting = { readonly places: number; readonly go: () => void };

export function openSemaphore(total: number): Semaphore {
  const waiting = new Set<Waiting>();
  let used = 0;

  const fits = (places: number): boolean => used + places <= total;

  function serve(): void {
    for (const next of waiting) {
      if (!fits(next.places)) return;
      waiting.delete(next);
      used += next.places;
      next.go();
    }
  }

  function held(places: number): Disposable {
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        used -= places;
        serve();
      },
    };
  }

  function tryAcquire(places: number): Disposable | undefined {
    if (waiting.size > 0 || !fits(places)) return undefined;
    used += places;
    return held(places);
  }

  function wait(places: number, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const one: Waiting = {
      places,
      go() {
        signal?.removeEventListener("abort", giveUp);
        resolve();
      },
    };
    function giveUp(): void {
      waiting.delete(one);
      reject(signal?.reason);
      serve(); // a smaller request behind this one may fit now
    }
    waiting.add(one);
    signal?.addEventListener("abort", giveUp, { once: true });
    return promise;
  }

  return {
    inUse: () => used,
    tryAcquire,
    async acquire({ places: wanted = 1, signal } = {}) {
      signal?.throwIfAborted();
      const places = Math.min(wanted, total);
      const now = tryAcquire(places);
      if (now) return now;
      await wait(places, signal);
      return held(places);
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
