import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";

/** What happens while an image is copied. Progress, log, metrics and tests use the same events. */
export type CopyEvent =
  /** The known work. Reported again, with larger numbers, when more was found. */
  | { readonly kind: "planned"; readonly manifests: number; readonly blobs: number; readonly bytes: number }
  /** Bytes of a blob that were sent since the last event. Negative when an upload starts again. */
  | { readonly kind: "bytes"; readonly digest: Digest; readonly bytes: number }
  | {
      readonly kind: "blob";
      readonly descriptor: Descriptor;
      readonly how: "pushed" | "mounted" | "present";
      readonly bytes: number;
    }
  | {
      readonly kind: "manifest";
      readonly descriptor: Descriptor;
      readonly tag?: string;
      readonly how: "pushed" | "present";
    }
  /** The target seemed to have these and did not. They were sent again. */
  | { readonly kind: "healed"; readonly digests: readonly Digest[] }
  /** Referrers that are not copied: the target cannot keep them, or the source lists them and no longer has them. */
  | { readonly kind: "notCarried"; readonly referrers: number; readonly artifactTypes: readonly string[] }
  /** A layer that its licence keeps at another server. It is neither read nor sent. */
  | { readonly kind: "foreign"; readonly descriptor: Descriptor };

/** The events of many tasks as one sequence. `put` waits for the reader, `bytes` never waits. */
export type Events = AsyncIterable<CopyEvent> & {
  /** Waits while 64 events are unread. When `signal` aborts, it throws the reason. */
  put(event: CopyEvent): Promise<void>;
  /** Adds to the next `bytes` event of this digest. */
  bytes(digest: Digest, bytes: number): void;
  /** Ends the sequence after the events that were put. */
  close(): void;
};

const UNREAD_MAX = 64;
/** The bytes of a blob are reported in steps: an event for each chunk would cost more than hashing it. */
const STEP_BYTES = 1024 * 1024;
/** A slow blob is reported in smaller steps, so that progress moves and its rate is right. */
const STEP_MS = 250;

export function openEvents({
  signal,
  now = () => performance.now(),
}: {
  readonly signal: AbortSignal;
  readonly now?: () => number;
}): Events {
  const unread: CopyEvent[] = [];
  const moved = new Map<Digest, number>();
  const reportedMs = new Map<Digest, number>();
  const reader = bell();
  const writers = bell();
  let closed = false;
  signal.addEventListener("abort", () => writers.ring(), { once: true });

  /** Adds the bytes of a blob before the event that ends it. */
  const flush = (digest: Digest): void => {
    const bytes = moved.get(digest);
    moved.delete(digest);
    reportedMs.set(digest, now());
    if (bytes) unread.push({ kind: "bytes", digest, bytes });
    reader.ring();
  };

  return {
    async put(event) {
      while (unread.length >= UNREAD_MAX && !signal.aborted) await writers.heard();
      signal.throwIfAborted();
      if (event.kind === "blob") {
        flush(event.descriptor.digest);
        reportedMs.delete(event.descriptor.digest);
      }
      unread.push(event);
      reader.ring();
    },
    bytes(digest, bytes) {
      const total = (moved.get(digest) ?? 0) + bytes;
      moved.set(digest, total);
      const since = reportedMs.get(digest);
      if (since === undefined) reportedMs.set(digest, now());
      const isDue =
        Math.abs(total) >= STEP_BYTES || (since !== undefined && now() - since >= STEP_MS && total !== 0);
      // while the queue is full, the bytes are added up
      if (isDue && unread.length < UNREAD_MAX) flush(digest);
    },
    close() {
      closed = true;
      reader.ring();
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const event = unread.shift();
        if (event) {
          writers.ring();
          yield event;
        } else if (closed) return;
        else await reader.heard();
      }
    },
  };
}

/** `ring` wakes everything that waits in `heard`. */
function bell(): { heard(): Promise<void>; ring(): void } {
  let next = Promise.withResolvers<void>();
  return {
    heard: () => next.promise,
    ring() {
      next.resolve();
      next = Promise.withResolvers<void>();
    },
  };
}
