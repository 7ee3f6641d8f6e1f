export type BudgetOptions = {
  /** Uses that may come at once. */
  readonly burst: number;
  /** Uses that come back each second. */
  readonly perSecond: number;
};

/** A token bucket. Times are in ms and may jump back: then nothing comes back. */
export type Budget = {
  /** Whether there is one more use. */
  has(now: number): boolean;
  /** Takes one use; false when there is none. */
  take(now: number): boolean;
};

export function openBudget({ burst, perSecond }: BudgetOptions): Budget {
  let left = burst;
  let last = 0;
  const refill = (now: number): void => {
    left = Math.min(burst, left + (Math.max(0, now - last) / 1000) * perSecond);
    last = now;
  };
  return {
    has(now) {
      refill(now);
      return left >= 1;
    },
    take(now) {
      refill(now);
      if (left < 1) return false;
      left -= 1;
      return true;
    },
  };
}

export type PeerBudgets = { of(peer: string): Budget };

/** One budget for each peer. Only the `size` peers that were seen last are remembered, so that memory does not grow. */
export function openPeerBudgets(options: BudgetOptions, size = 10_000): PeerBudgets {
  const budgets = new Map<string, Budget>();
  return {
    of(peer) {
      const budget = budgets.get(peer) ?? openBudget(options);
      budgets.delete(peer);
      budgets.set(peer, budget);
      const [oldest] = budgets.keys();
      if (budgets.size > size && oldest !== undefined) budgets.delete(oldest);
      return budget;
    },
  };
}
