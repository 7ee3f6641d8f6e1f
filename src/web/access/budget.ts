export type BudgetOptions = {
  /** How many uses are available at once. */
  readonly burst: number;
  /** How many uses are added per second. */
  readonly perSecond: number;
};

/** A token bucket. Times are in ms. If the time jumps back, no uses are added. */
export type Budget = {
  /** Whether a use is available. */
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

/** One budget per peer. Only the last `size` peers are remembered, so that memory is limited. */
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
