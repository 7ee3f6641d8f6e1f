/** Tasks that end together: the failure of one stops all others. */
export type Group = {
  /** Aborts at the first failure, or together with the signal that the group was opened with. */
  readonly signal: AbortSignal;
  /**
   * Waits for all `tasks`. When one fails, it aborts the others, waits for them, and throws the first failure. After
   * it has thrown, none of these tasks runs.
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
