import type { Content } from "../../oci/store.ts";

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
