import { TagferryError } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import { type Moment, momentIn } from "../../lib/moment.ts";

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
  /** When the first request without an answer began. */
  let silent: { readonly since: Date; readonly sinceMs: number } | undefined;
  let rests = 0;
  let next: Moment | undefined;
  let probe: Attempt | undefined;

  const name = role === "registry" ? host : `the ${role} ${host}`;

  const refuse = (until: Date): TagferryError => {
    const retryAt = until.toISOString();
    const since = (silent?.since ?? new Date()).toISOString();
    return new TagferryError(
      "REGISTRY_UNRESPONSIVE",
      `${name} has not answered since ${since}; it is asked again after ${retryAt}`,
      { where: host, since, retryAt },
    );
  };

  function check(): void {
    if (!next) return;
    if (probe) throw refuse(new Date(Date.now() + restMs));
    if (next.restMs() > 0) throw refuse(next.at);
  }

  function open(): void {
    next = momentIn(Math.min(restMaxMs, restMs * 2 ** rests));
    rests += 1;
    log.warn({ registry: host, retryAt: next.at.toISOString() }, `the ${role} does not answer`);
  }

  function close(): void {
    if (next) log.info({ registry: host }, `the ${role} answers again`);
    failed = 0;
    rests = 0;
    silent = undefined;
    next = undefined;
    probe = undefined;
  }

  return {
    check,
    begin() {
      check();
      const started = { since: new Date(), sinceMs: performance.now() };
      const attempt: Attempt = {
        answered: close,
        unanswered() {
          failed += 1;
          silent = silent && silent.sinceMs < started.sinceMs ? silent : started;
          const isDue = !next && failed >= failures && performance.now() - silent.sinceMs >= silentMs;
          if (isDue || probe === attempt) open();
          if (probe === attempt) probe = undefined;
        },
        [Symbol.dispose]() {
          if (probe === attempt) probe = undefined;
        },
      };
      if (next) probe = attempt;
      return attempt;
    },
    state: () => (next && silent ? { since: silent.since, retryAt: next.at } : undefined),
  };
}
