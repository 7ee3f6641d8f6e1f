import { TagferryError } from "../../errors/error.ts";
import { openBudget, openPeerBudgets } from "./budget.ts";

/** Ten wrong tokens at once, then one every ten seconds. */
const PER_PEER = { burst: 10, perSecond: 0.1 };
/** The limit for all peers together. */
const TOTAL = { burst: 100, perSecond: 1 };

/** Counts wrong tokens, per peer and in total. Correct tokens are not counted. */
export type Guesses = {
  /** @throws {TagferryError} WEB_BUSY after too many wrong tokens; then no token is compared */
  assertAllowed(peer: string): void;
  /** Records a wrong token. */
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
      // a peer that is over its limit must not use up the common limit
      if (peers.of(peer).take(at)) total.take(at);
    },
  };
}
