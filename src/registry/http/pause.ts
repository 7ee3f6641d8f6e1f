import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { DEFAULT_RETRY } from "../../errors/retry.ts";
import type { RequesterOptions } from "./request.ts";

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
}: Pick<RequesterOptions, "registry" | "rateLimit" | "retry" | "timeouts">): PauseAfter429 {
  const { baseMs, capMs } = { ...DEFAULT_RETRY, ...retry };
  let complaints = 0;
  let untilMs = 0;
  let firstMs: number | undefined;
  const isOver = (): boolean => firstMs !== undefined && performance.now() - firstMs >= retriesMs;
  return {
    check() {
      if (!isOver() || Date.now() >= untilMs) return;
      const retryAt = new Date(untilMs).toISOString();
      throw new TagferryError("RATE_LIMITED", `${registry} still asks for a pause, until ${retryAt}`, {
        where: registry,
        retryAt,
      });
    },
    heard(error) {
      if (!isTagferryError(error, "RATE_LIMITED")) throw error;
      const { retryAt } = error.details;
      firstMs ??= performance.now();
      const namesTime = typeof retryAt === "string";
      // requests that were already in progress at the first such answer do not count
      if (!namesTime && Date.now() < untilMs) throw error;
      untilMs = namesTime ? Date.parse(retryAt) : Date.now() + Math.min(capMs, baseMs * 2 ** complaints);
      complaints += 1;
      rateLimit.pauseUntil(registry, new Date(untilMs));
      throw error;
    },
    mayRetry: (error) => !isTagferryError(error, "RATE_LIMITED") || !isOver(),
    answered() {
      complaints = 0;
      firstMs = undefined;
    },
  };
}
