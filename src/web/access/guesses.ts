import { TagferryError } from "../../errors/error.ts";
import { openBudget, openPeerBudgets } from "./budget.ts";

/** Ten wrong tokens at once, then one every ten seconds. */
const PER_PEER = { burst: 10, perSecond: 0.1 };
/** Of all peers together. */
const TOTAL = { burst: 100, perSecond: 1 };

/** Counts wrong tokens, for each peer and in total. A right token costs nothing. */
export type Guesses = {
  /** @throws {TagferryError} WEB_BUSY when there were too many wrong ones: then no token is compared. */
  assertAllowed(peer: string): void;
  /** Notes a wrong one. */
  failed(peer: string): void;
};

export function openGuesses(now: () => number = Date.now): Guesses {
  const total = openBudget(TOTAL);
  const peers = openPeerBudgets(PER_PEER);
  return {
    assertAllowed(peer) {
      const at = now();
      if (!peers.of(peer).has(at) || !total.has(at))
        throw new TagferryError("WEB_BUSY", "too many wrong tokens: wait before you try again");
    },
    failed(peer) {
      const at = now();
      // a peer without a budget must not use up the budget of all
      if (peers.of(peer).take(at)) total.take(at);
    },
  };
}
