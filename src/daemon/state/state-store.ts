/**
 * What the processes of one installation share: short texts in namespaces, and messages.
 *
 * Its content is only a hint: the registries, the cluster and the configuration are the truth. All of it may be lost,
 * and others may have written to it. So readers check everything that they read.
 */
export type StateStore = {
  get(namespace: string, field: string): Promise<string | undefined>;
  all(namespace: string): Promise<ReadonlyMap<string, string>>;
  /** `ttlMs`: the whole namespace is removed this long after its last write. */
  set(
    namespace: string,
    fields: Readonly<Record<string, string>>,
    options?: { readonly ttlMs?: number },
  ): Promise<void>;
  /** Removes fields, or without `fields` the whole namespace. */
  remove(namespace: string, fields?: readonly string[]): Promise<void>;
  /** Adds to a whole number, which starts at 0. Returns the sum. A value that is not a whole number counts as 0. */
  add(namespace: string, field: string, amount: number): Promise<number>;
  /**
   * Sets a number to the larger of `atLeast` and its value plus `step`, and returns it. Atomic: with a step, no two
   * callers get the same number. A value that is not a number is ignored.
   */
  raise(
    namespace: string,
    field: string,
    options: { readonly atLeast: number; readonly step: number },
  ): Promise<number>;
  /** Sends a message to all processes that subscribed, including this one. */
  publish(message: string): Promise<void>;
  subscribe(onMessage: (message: string) => void): Disposable;
};

/** The content of one namespace. */
export type StateNamespace = {
  readonly namespace: string;
  readonly fields: Readonly<Record<string, string>>;
  /** Unix time in ms when it is removed. */
  readonly expiresAtMs?: number;
};

/** The largest time that a `Date` can have, in ms. We write no larger number. */
export const LARGEST = 8.64e15;

/** For one process. `dump`: its whole content. */
export function inProcessStateStore(): StateStore & { dump(): Iterable<StateNamespace> } {
  const namespaces = new Map<string, Map<string, string>>();
  const expiring = new Map<string, { readonly timer: NodeJS.Timeout; readonly atMs: number }>();
  const listeners = new Set<(message: string) => void>();
  const open = (namespace: string): Map<string, string> => {
    const known = namespaces.get(namespace) ?? new Map<string, string>();
    namespaces.set(namespace, known);
    return known;
  };
  const expire = (namespace: string): void => {
    namespaces.delete(namespace);
    clearTimeout(expiring.get(namespace)?.timer);
    expiring.delete(namespace);
  };
  return {
    *dump() {
      for (const [namespace, fields] of namespaces) {
        const expiresAtMs = expiring.get(namespace)?.atMs;
        yield {
          namespace,
          fields: Object.fromEntries(fields),
          ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
        };
      }
    },
    get: async (namespace, field) => namespaces.get(namespace)?.get(field),
    all: async (namespace) => new Map(namespaces.get(namespace)),
    async set(namespace, fields, { ttlMs } = {}) {
      for (const [field, text] of Object.entries(fields)) open(namespace).set(field, text);
      if (ttlMs === undefined) return;
      clearTimeout(expiring.get(namespace)?.timer);
      const timer = setTimeout(() => expire(namespace), ttlMs).unref();
      expiring.set(namespace, { timer, atMs: Date.now() + ttlMs });
    },
    async remove(namespace, fields) {
      if (!fields) expire(namespace);
      for (const field of fields ?? []) namespaces.get(namespace)?.delete(field);
    },
    async add(namespace, field, amount) {
      const known = Number(namespaces.get(namespace)?.get(field) ?? 0);
      const sum = (Number.isSafeInteger(known) ? known : 0) + amount;
      open(namespace).set(field, String(sum));
      return sum;
    },
    async raise(namespace, field, { atLeast, step }) {
      const known = Number(namespaces.get(namespace)?.get(field) ?? Number.NaN);
      const raised = known < LARGEST ? Math.max(known + step, atLeast) : atLeast;
      open(namespace).set(field, String(raised));
      return raised;
    },
    async publish(message) {
      for (const listener of listeners) listener(message);
    },
    subscribe(onMessage) {
      listeners.add(onMessage);
      return { [Symbol.dispose]: () => void listeners.delete(onMessage) };
    },
  };
}
