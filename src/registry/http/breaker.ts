import { TagferryError } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";

/**
 * Stops requests to a host that does not answer. It opens after several requests in a row without an answer over some
 * time. Then requests fail at once. After a pause, one request at a time tests the host; any answer closes the breaker.
 */
export type Breaker = {
  /** @throws {TagferryError} REGISTRY_UNRESPONSIVE, with `retryAt` */
  check(): void;
  /** Starts a request. @throws {TagferryError} REGISTRY_UNRESPONSIVE, with `retryAt` */
  begin(): Attempt;
  /** Why no requests are sent; undefined: the host answers, as far as known. */
  state(): Unresponsive | undefined;
};

/** A request in progress. Disposing it without a result (the request was cancelled) changes nothing. */
export type Attempt = Disposable & {
  answered(): void;
  /** There was no answer: no connection, or silence. */
  unanswered(): void;
};

export type Unresponsive = { readonly since: Date; readonly retryAt: Date };

export type BreakerPolicy = {
  /** The number of requests in a row without an answer… */
  readonly failures: number;
  /** …and the minimum time without an answer, before it opens. A restart of the host takes less. */
  readonly silentMs: number;
  /** The pause before the first test request. It doubles with each test that gets no answer. */
  readonly restMs: number;
  readonly restMaxMs: number;
};

export type BreakerOptions = BreakerPolicy & {
  readonly log: Log;
  readonly role?: "registry" | "token server";
};

export const BREAKER_POLICY: BreakerPolicy = {
  failures: 5,
  silentMs: 20_000,
  restMs: 5_000,
  restMaxMs: 60_000,
};

export function openBreaker(
  host: string,
  { failures, silentMs, restMs, restMaxMs, log, role = "registry" }: BreakerOptions,
): Breaker {
  let failed = 0;
  let silentSinceMs = Infinity;
  let rests = 0;
  let retryAtMs: number | undefined;
  let probe: Attempt | undefined;

  const name = role === "registry" ? host : `the ${role} ${host}`;

  const refuse = (untilMs: number): TagferryError => {
    const retryAt = new Date(untilMs).toISOString();
    const since = new Date(silentSinceMs).toISOString();
    return new TagferryError(
      "REGISTRY_UNRESPONSIVE",
      `${name} has not answered since ${since}; it is asked again after ${retryAt}`,
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
    log.warn({ registry: host, retryAt: new Date(retryAtMs).toISOString() }, `the ${role} does not answer`);
  }

  function close(): void {
    if (retryAtMs !== undefined) log.info({ registry: host }, `the ${role} answers again`);
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
