import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { DEFAULT_RETRY } from "../../errors/retry.ts";
import { type Moment, momentAt, momentIn } from "../../lib/moment.ts";
import type { RequesterOptions, RequestTimeouts } from "./request.ts";

/** Pauses a registry that answers with 429: as long as it says, otherwise longer with each such answer. */
export type PauseAfter429 = {
  /**
   * Fails at once while the registry is paused and has said nothing but 429 for `retriesMs`. Before that, requests wait
   * for the end of the pause.
   *
   * @throws {TagferryError} RATE_LIMITED, with `retryAt`
   */
  check(): void;
  /** Throws the error again. If it is RATE_LIMITED, the registry is paused for all callers. */
  heard(error: unknown): never;
  /**
   * Whether another attempt may help. After `retriesMs` with nothing but 429, each request has one attempt: otherwise
   * the waits of the requests of one check would add up.
   */
  mayRetry(error: unknown): boolean;
  answered(): void;
};

export function openPauseAfter429({
  registry,
  rateLimit,
  retry,
  timeouts: { retriesMs },
}: Pick<RequesterOptions, "registry" | "rateLimit" | "retry"> & {
  readonly timeouts: Pick<RequestTimeouts, "retriesMs">;
}): PauseAfter429 {
  const { baseMs, capMs } = { ...DEFAULT_RETRY, ...retry };
  let complaints = 0;
  let until: Moment | undefined;
  /** When the registry began to say nothing but 429 (`performance.now()`). */
  let sinceMs: number | undefined;

  const isPaused = (): boolean => until !== undefined && until.restMs() > 0;
  const isOver = (): boolean => sinceMs !== undefined && performance.now() - sinceMs >= retriesMs;
  /** Nobody has asked for so long after the pause that what was said before says nothing about now. */
  const isForgotten = (): boolean => until !== undefined && -until.restMs() > retriesMs;

  const forget = (): void => {
    complaints = 0;
    sinceMs = undefined;
  };

  return {
    check() {
      if (!until || !isPaused() || !isOver()) return;
      const retryAt = until.at.toISOString();
      throw new TagferryError("RATE_LIMITED", `${registry} still asks for a pause, until ${retryAt}`, {
        where: registry,
        retryAt,
      });
    },
    heard(error) {
      if (!isTagferryError(error, "RATE_LIMITED")) throw error;
      if (isForgotten()) forget();
      sinceMs ??= performance.now();
      const { retryAt } = error.details;
      const namesTime = typeof retryAt === "string";
      // requests that were already in progress at the first such answer do not count
      if (!namesTime && isPaused()) throw error;
      until = namesTime ? momentAt(new Date(retryAt)) : momentIn(Math.min(capMs, baseMs * 2 ** complaints));
      complaints += 1;
      rateLimit.pauseUntil(registry, until.at);
      throw error;
    },
    mayRetry: (error) => !isTagferryError(error, "RATE_LIMITED") || !isOver(),
    answered: forget,
  };
}
