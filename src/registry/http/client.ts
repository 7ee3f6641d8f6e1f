import { isTagferryError } from "../../errors/error.ts";
import { budgetOf, withRetryBudget } from "../../errors/retry-budget.ts";
import { retry } from "../../errors/retry.ts";
import { type Cancellable, within } from "../../lib/cancel.ts";
import { uploadQueueOf } from "../../oci/rate-limit.ts";
import { release } from "./answer.ts";
import { openAuthorized } from "./authorized.ts";
import { errorOfTransport } from "./error.ts";
import { openPauseAfter429 } from "./pause.ts";
import {
  type Answer,
  type Ask,
  isStream,
  type Requester,
  type RequesterOptions,
  type RequestTimeouts,
} from "./request.ts";
import { openSend } from "./send.ts";

export function openRequester(options: RequesterOptions): Requester {
  const { registry, rateLimit, breaker, timeouts, log } = options;
  const pause = openPauseAfter429(options);
  const authorized = openAuthorized(options, openSend(options, pause), pause);

  async function askOnce(ask: Ask, { signal }: Cancellable = {}): Promise<Answer> {
    // both fail before it waits in the queue
    breaker.check();
    pause.check();
    // Streamed uploads have their own queue. Otherwise a copy within one registry would wait for itself.
    const queue = isStream(ask.body) ? uploadQueueOf(registry) : registry;
    const slot = await rateLimit.request(queue, { signal });
    using limit = limitOf(ask, timeouts, { signal });
    try {
      const answer = await authorized({ ask, signal, limit: limit.signal });
      pause.answered();
      return release(answer, slot);
    } catch (error) {
      slot[Symbol.dispose]();
      const failure = isTimeout(error)
        ? errorOfTransport(error, { where: ask.subject.where, signal })
        : error;
      if (isTagferryError(failure, "STALLED")) {
        const isOver = limit.signal?.aborted === true && signal?.aborted !== true;
        budgetOf(signal)?.waited(isOver ? wholeMs(ask, timeouts) : (ask.firstByteMs ?? timeouts.firstByteMs));
      }
      throw failure;
    }
  }

  return {
    askOnce,
    async ask(ask, cancellable = {}) {
      const { budget, signal } = withRetryBudget(timeouts.retriesMs, cancellable);
      return retry(() => askOnce(ask, { signal }), {
        ...options.retry,
        signal,
        mayRetry: (error, pauseMs) => pause.mayRetry(error) && budget.allows(error, pauseMs),
        onRetry: ({ code, message }, pauseMs) =>
          log.info({ code, pauseMs: Math.round(pauseMs) }, `again: ${message}`),
      });
    },
  };
}

type Limit = Disposable & { readonly signal: AbortSignal | undefined };

/**
 * The limit of one attempt, with all its redirects and tokens. If the body has no limit, this limit ends when the head
 * arrives.
 */
function limitOf(ask: Ask, timeouts: RequestTimeouts, { signal }: Cancellable): Limit {
  if (isStream(ask.body)) return { signal, [Symbol.dispose]: () => {} };
  const limitMs = wholeMs(ask, timeouts);
  if (ask.timeoutMs !== Infinity) return { signal: within(limitMs, { signal }), [Symbol.dispose]: () => {} };
  const head = new AbortController();
  const tooLate = (): void => head.abort(new DOMException("no answer in time", "TimeoutError"));
  const timer = setTimeout(tooLate, limitMs).unref();
  return {
    signal: AbortSignal.any(signal ? [signal, head.signal] : [head.signal]),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

function wholeMs({ timeoutMs = Infinity }: Ask, { requestMs }: RequestTimeouts): number {
  return timeoutMs === Infinity ? requestMs : timeoutMs;
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === "TimeoutError";
}
