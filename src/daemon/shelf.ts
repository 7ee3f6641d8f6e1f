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

/** All of one place. */
export type ShelfPlace = {
  readonly place: string;
  readonly fields: Readonly<Record<string, string>>;
  /** Unix time in ms at which it is forgotten. */
  readonly forgetAtMs?: number;
};

/** For one process. `dump`: all that is on it now. */
export function inProcessShelf(): Shelf & { dump(): Iterable<ShelfPlace> } {
  const places = new Map<string, Map<string, string>>();
  const forgetting = new Map<string, { readonly timer: NodeJS.Timeout; readonly atMs: number }>();
  const listeners = new Set<(message: string) => void>();
  const open = (place: string): Map<string, string> => {
    const known = places.get(place) ?? new Map<string, string>();
    places.set(place, known);
    return known;
  };
  const forget = (place: string): void => {
    places.delete(place);
    clearTimeout(forgetting.get(place)?.timer);
    forgetting.delete(place);
  };
  return {
    *dump() {
      for (const [place, fields] of places) {
        const forgetAtMs = forgetting.get(place)?.atMs;
        yield {
          place,
          fields: Object.fromEntries(fields),
          ...(forgetAtMs === undefined ? {} : { forgetAtMs }),
        };
      }
    },
    get: async (place, field) => places.get(place)?.get(field),
    all: async (place) => new Map(places.get(place)),
    async put(place, fields, { keepMs } = {}) {
      for (const [field, text] of Object.entries(fields)) open(place).set(field, text);
      if (keepMs === undefined) return;
      clearTimeout(forgetting.get(place)?.timer);
      const timer = setTimeout(() => forget(place), keepMs).unref();
      forgetting.set(place, { timer, atMs: Date.now() + keepMs });
    },
    async remove(place, fields) {
      if (!fields) forget(place);
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
