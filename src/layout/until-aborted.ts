import type { Content } from "../oci/store.ts";

/** Yields `content`. When `signal` aborts, it stops at once, even while it waits for bytes. */
export async function* untilAborted(
  content: Content,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  if (!signal) return yield* content;
  signal.throwIfAborted();
  const source = content[Symbol.asyncIterator]();
  let giveUp: ((reason: unknown) => void) | undefined;
  const onAbort = (): void => giveUp?.(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  let ended = false;
  try {
    for (;;) {
      // a new promise for each chunk: with one long-lived promise, Promise.race would keep every chunk in memory
      const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Uint8Array>>();
      giveUp = reject;
      signal.throwIfAborted();
      source.next().then(resolve, reject);
      const step = await promise;
      ended = step.done === true;
      if (step.done) return;
      yield step.value;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    // a source that waits ends later by itself; this does not wait for it
    if (!ended) void source.return?.().catch(() => {});
  }
}
