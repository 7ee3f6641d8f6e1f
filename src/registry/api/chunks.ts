import type { Content, PushBlobOptions } from "../../oci/store.ts";

/** A part of a blob and its length. It must be read once and completely. */
export type Chunk = { readonly content: AsyncIterable<Uint8Array>; readonly bytes: number };

export function lengthOf(chunk: Chunk | undefined): number {
  return chunk?.bytes ?? 0;
}

/**
 * Cuts content of `size` bytes into parts of `chunkBytes` without buffering. Read each part completely before you
 * request the next.
 */
export async function* chunksOf(
  content: Content,
  size: number,
  chunkBytes: number,
): AsyncGenerator<Chunk, void, void> {
  const reading = content[Symbol.asyncIterator]();
  let rest: Uint8Array | undefined;
  for (let offset = 0; offset < size;) {
    const bytes = Math.min(chunkBytes, size - offset);
    let missing = bytes;
    yield {
      bytes,
      content: (async function* () {
        while (missing > 0) {
          const piece: Uint8Array | undefined = rest ?? (await nextOf(reading));
          if (piece === undefined) return;
          rest = piece.length > missing ? piece.subarray(missing) : undefined;
          const given = piece.length > missing ? piece.subarray(0, missing) : piece;
          missing -= given.length;
          yield given;
        }
      })(),
    };
    offset += bytes;
  }
  // After the last byte, read the end of the content: it may be an error.
  await nextOf(reading);
}

async function nextOf(reading: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
  const step = await reading.next();
  return step.done === true ? undefined : step.value;
}

/** Skips the first bytes of the content. They are read all the same, because the digest covers them. */
export async function* without(
  firstBytes: number,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  let skipBytes = firstBytes;
  for await (const chunk of content) {
    const skipped = Math.min(skipBytes, chunk.length);
    skipBytes -= skipped;
    if (skipped < chunk.length) yield skipped === 0 ? chunk : chunk.subarray(skipped);
  }
}

type Observed = AsyncGenerator<Uint8Array, void, void> & {
  failure(): unknown;
  givenBytes(): number;
  reportedBytes(): number;
  end(): Promise<void>;
};

/**
 * Counts bytes, copies small chunks (their memory may be reused), and records an error of the content itself. Such an
 * error ends the request with a transport error, but the error of the content is the real cause.
 */
export function observed(
  content: AsyncGenerator<Uint8Array, void, void>,
  { onBytes }: PushBlobOptions,
): Observed {
  let failure: unknown;
  let givenBytes = 0;
  let reportedBytes = 0;
  const reading = (async function* () {
    try {
      for await (const chunk of content) {
        // counted before the yield: the registry may receive a chunk even if the connection breaks
        givenBytes += chunk.length;
        yield chunk.length < 64 * 1024 ? Buffer.from(chunk) : chunk;
        // reported after it: only now the connection has taken the chunk
        reportedBytes += chunk.length;
        onBytes?.(chunk.length);
      }
    } catch (error) {
      failure = error;
      throw error;
    }
  })();
  return Object.assign(reading, {
    failure: () => failure,
    givenBytes: () => givenBytes,
    reportedBytes: () => reportedBytes,
    async end() {
      await reading.return().catch(() => {});
    },
  });
}
