import type { Content } from "../oci/store.ts";

/** `content`, left at once when `signal` aborts, even while it waits for bytes that never come. */
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
      // a promise of its own each time: racing one that lives long would remember every chunk
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
    // a source that waits ends when its wait does; nobody waits for that here
    if (!ended) void source.return?.().catch(() => {});
  }
}
