/** Tasks that stand and fall together. */
export type Group = {
  /** Aborts with the first failure, or with the signal the group was opened with. */
  readonly signal: AbortSignal;
  /**
   * Waits for all of `tasks`, also when one fails: then the others are told to stop, awaited, and the first failure is
   * thrown. Nothing of a group runs on after this has thrown.
   */
  all<T>(tasks: readonly Promise<T>[]): Promise<readonly T[]>;
  stop(reason: unknown): void;
};

export function openGroup(signal: AbortSignal | undefined): Group {
  const own = new AbortController();
  const either = signal ? AbortSignal.any([signal, own.signal]) : own.signal;
  return {
    signal: either,
    stop: (reason) => own.abort(reason),
    async all(tasks) {
      for (const task of tasks) task.catch((error: unknown) => own.abort(error));
      const ends = await Promise.allSettled(tasks);
      return ends.map((end) => {
        if (end.status === "rejected") throw either.reason;
        return end.value;
      });
    },
  };
}
