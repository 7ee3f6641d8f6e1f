import { TagferryError } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";

/**
 * Stops asking a host that does not answer. After several requests in a row that got no answer, over some time, it opens:
 * the next request fails at once. One request at a time asks again; an answer of any kind closes it.
 */
export type Breaker = {
  /** @throws {TagferryError} REGISTRY_UNRESPONSIVE, with `retryAt` */
  check(): void;
  /** Begins a request. @throws {TagferryError} REGISTRY_UNRESPONSIVE, with `retryAt` */
  begin(): Attempt;
  /** Why nothing is asked; undefined: it answers, as far as is known. */
  state(): Unresponsive | undefined;
};

/** A request under way. Disposing it without a word (it was cancelled) tells nothing of the host. */
export type Attempt = Disposable & {
  answered(): void;
  /** No answer at all: no connection, or silence. */
  unanswered(): void;
};

export type Unresponsive = { readonly since: Date; readonly retryAt: Date };

export type BreakerPolicy = {
  /** Requests in a row without an answer… */
  readonly failures: number;
  /** …and for so long, before it opens: a restart takes less. */
  readonly silentMs: number;
  /** From opening to the first request that asks again; doubles each time that it is not answered. */
  readonly restMs: number;
  readonly restMaxMs: number;
};

export const BREAKER_POLICY: BreakerPolicy = {
  failures: 5,
  silentMs: 20_000,
  restMs: 5_000,
  restMaxMs: 60_000,
};

export function openBreaker(
  host: string,
  { failures, silentMs, restMs, restMaxMs, log }: BreakerPolicy & { readonly log: Log },
): Breaker {
  let failed = 0;
  let silentSinceMs = Infinity;
  let rests = 0;
  let retryAtMs: number | undefined;
  let probe: Attempt | undefined;

  const refuse = (untilMs: number): TagferryError => {
    const retryAt = new Date(untilMs).toISOString();
    const since = new Date(silentSinceMs).toISOString();
    return new TagferryError(
      "REGISTRY_UNRESPONSIVE",
      `${host} has not answered since ${since}; it is asked again after ${retryAt}`,
      { where: host, since, retryAt },
    );
  };

  function check(): void {
    if (retryAtMs === undefined) return;
    if (probe) throw refuse(Date.now() + restMs);
    if (Date.now() < retryAtMs) throw refuse(retryAtMs);
  }

  function open(): void {
    retryAtMs = Date.now() + Math.min(restMaxMs, restMs * 2 ** rests);
    rests += 1;
    log.warn({ registry: host, retryAt: new Date(retryAtMs).toISOString() }, "the registry does not answer");
  }

  function close(): void {
    if (retryAtMs !== undefined) log.info({ registry: host }, "the registry answers again");
    failed = 0;
    rests = 0;
    silentSinceMs = Infinity;
    retryAtMs = undefined;
    probe = undefined;
  }

  return {
    check,
    begin() {
      check();
      const startedMs = Date.now();
      const attempt: Attempt = {
        answered: close,
        unanswered() {
          failed += 1;
          silentSinceMs = Math.min(silentSinceMs, startedMs);
          const isDue =
            retryAtMs === undefined && failed >= failures && Date.now() - silentSinceMs >= silentMs;
          if (isDue || probe === attempt) open();
          if (probe === attempt) probe = undefined;
        },
        [Symbol.dispose]() {
          if (probe === attempt) probe = undefined;
        },
      };
      if (retryAtMs !== undefined) probe = attempt;
      return attempt;
    },
    state: () =>
      retryAtMs === undefined ? undefined : { since: new Date(silentSinceMs), retryAt: new Date(retryAtMs) },
  };
}
