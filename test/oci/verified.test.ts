import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { digestOf } from "../../src/oci/digest.ts";
import { type Checkpoint, HELD_BACK_BYTES, verified } from "../../src/oci/verified.ts";
import { seededBytes } from "../support/images/content.ts";
import { readAll, reusing } from "../support/port.ts";

const SIZE = 300_000;
const bytes = seededBytes("verified", SIZE);
const blob = { digest: digestOf(bytes), size: SIZE };

/** The bytes that a reader gets before the end or the error. */
async function given(
  content: AsyncIterable<Uint8Array>,
): Promise<{ bytes: Buffer; code: string | undefined }> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of content) chunks.push(Buffer.from(chunk));
  } catch (error) {
    return { bytes: Buffer.concat(chunks), code: (error as { code: string }).code };
  }
  return { bytes: Buffer.concat(chunks), code: undefined };
}

function flipped(at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

async function checkpointsOf(chunkBytes: number, checkpointBytes: number): Promise<Checkpoint[]> {
  const checkpoints: Checkpoint[] = [];
  const onCheckpoint = (checkpoint: Checkpoint): void => void checkpoints.push(checkpoint);
  await readAll(verified(reusing(bytes, chunkBytes), blob, { checkpointBytes, onCheckpoint }));
  return checkpoints;
}

describe("verified gives", () => {
  test.for([0, 1, HELD_BACK_BYTES - 1, HELD_BACK_BYTES, HELD_BACK_BYTES + 1, SIZE])(
    "all %i bytes of a blob, from chunks whose memory is used again",
    async (size) => {
      const content = bytes.subarray(0, size);
      const read = await readAll(verified(reusing(content, 7_001), { digest: digestOf(content), size }));
      expect(Buffer.compare(read, content)).toBe(0);
    },
  );

  test("a blob by its sha512", async () => {
    const digest = digestOf(bytes, "sha512");
    expect(await readAll(verified(reusing(bytes), { digest, size: SIZE }))).toHaveLength(SIZE);
  });

  test("the same, however the bytes are cut", async () => {
    const content = seededBytes("cut", 200_000);
    const cuts = fc.array(fc.integer({ min: 0, max: content.length }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(cuts, async (places) => {
        const edges = [0, ...places.toSorted((one, other) => one - other), content.length];
        const chunks = edges.slice(1).map((end, position) => content.subarray(edges[position], end));
        const read = await readAll(
          verified(stream(chunks), { digest: digestOf(content), size: content.length }),
        );
        expect(Buffer.compare(read, content)).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  test("bytes as they come, and only the last 64 KiB late", async () => {
    let asked = 0;
    async function* counting(): AsyncGenerator<Uint8Array> {
      for await (const chunk of reusing(bytes, 50_000)) {
        asked += 1;
        yield chunk;
      }
    }
    const reader = verified(counting(), blob);
    await reader.next();
    expect(asked).toBe(1);
    await reader.return();
  });
});

describe("verified goes on from a checkpoint", () => {
  test("as often as it likes, with the bytes that follow", async () => {
    const checkpoints = await checkpointsOf(7_001, 50_000);
    expect(checkpoints.map((checkpoint) => checkpoint.bytes)).toEqual([56_008, 112_016, 168_024, 224_032]);
    for (const from of [...checkpoints, ...checkpoints]) {
      const read = await readAll(verified(reusing(bytes.subarray(from.bytes)), blob, { from }));
      expect(Buffer.compare(read, bytes.subarray(from.bytes))).toBe(0);
    }
  });

  test("never within what is held back", async () => {
    const checkpoints = await checkpointsOf(1_000, 1_000);
    expect(checkpoints.at(-1)?.bytes).toBeLessThanOrEqual(SIZE - HELD_BACK_BYTES);
  });

  test("and refuses other bytes than those that follow", async () => {
    const [from] = await checkpointsOf(50_000, 50_000);
    const other = flipped(SIZE - 1).subarray(50_000);
    expect(await given(verified(reusing(other), blob, { from }))).toMatchObject({ code: "DIGEST_MISMATCH" });
    const again = bytes.subarray(40_000);
    expect(await given(verified(reusing(again), blob, { from }))).toMatchObject({ code: "BLOB_LONG" });
  });
});

describe("verified refuses, before the end is out,", () => {
  test.for([
    ["a flipped first byte", flipped(0), "DIGEST_MISMATCH"],
    ["a flipped last byte", flipped(SIZE - 1), "DIGEST_MISMATCH"],
    ["one byte less", bytes.subarray(0, SIZE - 1), "BLOB_SHORT"],
    ["nothing", new Uint8Array(), "BLOB_SHORT"],
    ["one byte more", Buffer.concat([bytes, Buffer.of(0)]), "BLOB_LONG"],
    ["twice the blob", Buffer.concat([bytes, bytes]), "BLOB_LONG"],
  ] as const)("%s", async ([, content, code]) => {
    const read = await given(verified(reusing(content, 9_999), blob));
    expect(read.code).toBe(code);
    expect(read.bytes.length).toBeLessThanOrEqual(SIZE - HELD_BACK_BYTES);
  });

  test("one byte where none is meant", async () => {
    const none = { digest: digestOf(new Uint8Array()), size: 0 };
    expect(await given(verified(reusing(Buffer.of(1)), none))).toEqual({
      bytes: Buffer.alloc(0),
      code: "BLOB_LONG",
    });
  });

  test("a long blob at the first byte too many, without reading on", async () => {
    let taken = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        taken += 10_000;
        yield Buffer.alloc(10_000);
      }
    }
    expect((await given(verified(endless(), blob))).code).toBe("BLOB_LONG");
    expect(taken).toBeLessThanOrEqual(SIZE + 10_000);
  });

  test("and closes its source when its reader leaves", async () => {
    let closed = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield* reusing(bytes);
      } finally {
        closed = true;
      }
    }
    for await (const chunk of verified(source(), blob)) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    expect(closed).toBe(true);
  });
});

async function* stream(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
