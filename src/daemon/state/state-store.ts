/**
 * What the processes of one installation tell each other: small texts in named namespaces, and messages.
 *
 * It is a hint, never the truth: the registries, the cluster and the configuration are the truth. All of it may be lost, and
 * others may have written into it: whoever reads it checks what it reads.
 */
export type StateStore = {
  get(namespace: string, field: string): Promise<string | undefined>;
  all(namespace: string): Promise<ReadonlyMap<string, string>>;
  /** `ttlMs`: the whole namespace is forgotten this long after its last write. */
  set(
    namespace: string,
    fields: Readonly<Record<string, string>>,
    options?: { readonly ttlMs?: number },
  ): Promise<void>;
  /** Removes fields; without `fields` the whole namespace. */
  remove(namespace: string, fields?: readonly string[]): Promise<void>;
  /** Adds to a whole number, which is 0 at first; gives the sum. What is no such number counts as 0. */
  add(namespace: string, field: string, amount: number): Promise<number>;
  /**
   * Sets a number to the larger one of `atLeast` and what it is, plus `step`; gives what it is now. Atomic: with a step no two
   * callers get the same number. What is no number counts as nothing.
   */
  raise(
    namespace: string,
    field: string,
    options: { readonly atLeast: number; readonly step: number },
  ): Promise<number>;
  /** To every process that listens, including this one. */
  publish(message: string): Promise<void>;
  subscribe(onMessage: (message: string) => void): Disposable;
};

/** All of one namespace. */
export type StateNamespace = {
  readonly namespace: string;
  readonly fields: Readonly<Record<string, string>>;
  /** Unix time in ms when it is forgotten. */
  readonly expiresAtMs?: number;
};

/** A larger number than a date can have: nothing of ours. */
export const LARGEST = 8.64e15;

/** For one process. `dump`: all that it holds now. */
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
