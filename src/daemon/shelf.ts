/**
 * Where the processes of one installation keep what they tell each other: small texts in named places, and messages.
 *
 * A hint, never the truth: the registries, the cluster and the configuration are that. All of it may be lost.
 */
export type Shelf = {
  get(place: string, field: string): Promise<string | undefined>;
  all(place: string): Promise<ReadonlyMap<string, string>>;
  /** `keepMs`: the whole place is forgotten so long after it was last written. */
  put(
    place: string,
    fields: Readonly<Record<string, string>>,
    options?: { readonly keepMs?: number },
  ): Promise<void>;
  /** Removes fields; without them the place. */
  remove(place: string, fields?: readonly string[]): Promise<void>;
  /** Adds to a number, which is 0 at first; tells the sum. */
  add(place: string, field: string, amount: number): Promise<number>;
  /** To every process that listens, this one too. */
  tell(message: string): Promise<void>;
  listen(onMessage: (message: string) => void): Disposable;
};

/** For one process. */
export function inProcessShelf(): Shelf {
  const places = new Map<string, Map<string, string>>();
  const forgetting = new Map<string, NodeJS.Timeout>();
  const listeners = new Set<(message: string) => void>();
  const open = (place: string): Map<string, string> => {
    const known = places.get(place) ?? new Map<string, string>();
    places.set(place, known);
    return known;
  };
  return {
    get: async (place, field) => places.get(place)?.get(field),
    all: async (place) => new Map(places.get(place)),
    async put(place, fields, { keepMs } = {}) {
      for (const [field, text] of Object.entries(fields)) open(place).set(field, text);
      if (keepMs === undefined) return;
      clearTimeout(forgetting.get(place));
      forgetting.set(place, setTimeout(() => places.delete(place), keepMs).unref());
    },
    async remove(place, fields) {
      if (!fields) places.delete(place);
      for (const field of fields ?? []) places.get(place)?.delete(field);
    },
    async add(place, field, amount) {
      const sum = Number(places.get(place)?.get(field) ?? 0) + amount;
      open(place).set(field, String(sum));
      return sum;
    },
    async tell(message) {
      for (const listener of listeners) listener(message);
    },
    listen(onMessage) {
      listeners.add(onMessage);
      return { [Symbol.dispose]: () => void listeners.delete(onMessage) };
    },
  };
}
