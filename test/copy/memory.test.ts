import { expect, test } from "vitest";

import { type CopyMemory, memoryOfBlob, openCopyMemory } from "../../src/copy/memory.ts";
import type { Semaphore } from "../../src/lib/semaphore.ts";
import { openCopySetting } from "../support/copy-setting.ts";
import { copied } from "../support/copying.ts";
import { allBlobs, buildImage, buildIndex, pushTo } from "../support/images/images.ts";

const LAYER_BYTES = 300_000;

test("many copies at once never reserve more memory for blobs than there is, and all of them end", async () => {
  await using setting = await openCopySetting();
  const { from, to, source, target } = setting;
  const images = Array.from({ length: 8 }, (_, seed) =>
    buildImage({ seed: `image ${seed}`, layers: [LAYER_BYTES, LAYER_BYTES, LAYER_BYTES] }),
  );
  for (const [index, image] of images.entries()) await pushTo(from, "team/app", image, `v${index}`);
  const { memory, blobs } = watched(openCopyMemory({ blobsBytes: 1_000_000 }));
  await Promise.all(
    images.map(({ manifest: { digest } }, index) =>
      copied(digest, source, target, { tag: `v${index}`, memory }),
    ),
  );
  for (const { manifest } of images) expect(to.missing("mirror/app", manifest.digest)).toEqual([]);
  expect(blobs.peak()).toBeLessThanOrEqual(1_000_000);
  // three layers at once have room: the limit is what keeps more of them waiting
  expect(blobs.peak()).toBeGreaterThan(2 * LAYER_BYTES);
  expect(memory.blobs.inUse()).toBe(0);
  expect(memory.manifests.inUse()).toBe(0);
});

test("a blob that is larger than the whole memory is copied alone", async () => {
  await using setting = await openCopySetting();
  const { from, to, source, target } = setting;
  const image = buildImage({ layers: [LAYER_BYTES, LAYER_BYTES] });
  await pushTo(from, "team/app", image, "v1");
  const { memory, blobs } = watched(openCopyMemory({ blobsBytes: 1_000 }));
  await copied(image.manifest.digest, source, target, { tag: "v1", memory });
  expect(to.missing("mirror/app", image.manifest.digest)).toEqual([]);
  expect(blobs.peak()).toBe(1_000);
});

test("a copy that fails gives its memory back", async () => {
  await using setting = await openCopySetting();
  const { from, source, target } = setting;
  const image = buildIndex({ layers: 2 });
  await pushTo(from, "team/app", image, "v1");
  const [lost = image.manifest.digest] = allBlobs(image).keys();
  from.deleteBlob("team/app", lost);
  const memory = openCopyMemory();
  await expect(copied(image.manifest.digest, source, target, { tag: "v1", memory })).rejects.toThrow(lost);
  expect([memory.blobs.inUse(), memory.manifests.inUse()]).toEqual([0, 0]);
});

test("manifests for which there is no memory are read again, and the image is complete", async () => {
  await using setting = await openCopySetting();
  const { from, to, source, target } = setting;
  const image = buildIndex({ layers: 1 });
  await pushTo(from, "team/app", image, "v1");
  const memory = openCopyMemory({ manifestsBytes: 10 });
  await copied(image.manifest.digest, source, target, { tag: "v1", memory });
  expect(to.missing("mirror/app", image.manifest.digest)).toEqual([]);
  const reads = from.ledger.count({ method: "GET", kind: "manifest", reference: image.manifest.digest });
  expect(reads).toBe(2);
});

test("by default sixteen large blobs have room at once, and more small ones", () => {
  const { blobs } = openCopyMemory();
  const large = Array.from({ length: 17 }, () => blobs.tryAcquire(memoryOfBlob(10 * 1024 ** 3)));
  expect(large.filter((room) => room !== undefined)).toHaveLength(16);
  for (const room of large) room?.[Symbol.dispose]();
  const small = Array.from({ length: 1_000 }, () => blobs.tryAcquire(memoryOfBlob(10_000)));
  expect(small.every((room) => room !== undefined)).toBe(true);
});

/** Notes how many bytes were reserved for blobs at most. */
function watched(memory: CopyMemory): {
  readonly memory: CopyMemory;
  readonly blobs: { peak(): number };
} {
  let peak = 0;
  const note = (): void => void (peak = Math.max(peak, memory.blobs.inUse()));
  const blobs: Semaphore = {
    ...memory.blobs,
    async acquire(options) {
      const room = await memory.blobs.acquire(options);
      note();
      return room;
    },
  };
  return { memory: { ...memory, blobs }, blobs: { peak: () => peak } };
}
