import { expect, test } from "vitest";

import { TagferryError } from "../../src/errors/error.ts";
import { inProcessLease } from "../../src/limits/in-process-lease.ts";
import type { Digest } from "../../src/oci/digest.ts";
import { parseManifest } from "../../src/oci/manifest.ts";
import type { TargetCapabilities } from "../../src/oci/store.ts";
import { copied, failureOfCopy } from "../support/copying.ts";
import { buildImage, buildIndex, buildIndexOf, buildNestedIndex } from "../support/images/images.ts";
import type { BuiltImage } from "../support/images/manifest.ts";
import { type MemoryStore, memoryStore } from "../support/memory-store.ts";

const LAYER = 200_000;

/** Faults in the bytes of a blob, and their codes. */
const WRONG: readonly (readonly [string, string, (right: Uint8Array) => Uint8Array])[] = [
  ["corrupt", "DIGEST_MISMATCH", (right) => right.with(right.length - 1, (right.at(-1) ?? 0) ^ 1)],
  ["short", "BLOB_SHORT", (right) => right.subarray(0, right.length - 1)],
  ["long", "BLOB_LONG", (right) => Buffer.concat([right, Buffer.of(0)])],
];

test.for(WRONG)("fetches a blob whose content is %s once more, and copies it", async ([, , spoil]) => {
  const image = buildImage({ layers: [LAYER] });
  const { source, target, layer } = stores(image);
  source.spoil(layer.digest, spoil(layer.bytes));
  const { summary, events } = await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(source.count("blob", layer.digest)).toBe(2);
  expect(target.missing("v1")).toEqual([]);
  expect(summary.blobs.pushed).toBe(2);
  const moved = events.flatMap((event) =>
    event.kind === "bytes" && event.digest === layer.digest ? [event.bytes] : [],
  );
  expect(moved.reduce((sum, bytes) => sum + bytes, 0)).toBe(layer.bytes.length);
});

test.for(WRONG)("never publishes a blob whose content stays %s", async ([, code, spoil]) => {
  const image = buildIndex({ layers: [LAYER] });
  const { source, target, layer } = stores(image);
  source.spoil(layer.digest, ...Array.from({ length: 9 }, () => spoil(layer.bytes)));
  const failure = await failureOfCopy(copied(image.manifest.digest, source, target, { tag: "v1" }));
  expect(failure.code).toBe(code);
  expect(failure.message).toContain("source/repository");
  expect(failure.message).toContain(layer.digest);
  expect(source.count("blob", layer.digest)).toBe(2);
  expect(target.blobs.has(layer.digest)).toBe(false);
  expect(target.tags.size).toBe(0);
  expect(target.manifests.has(image.manifest.digest)).toBe(false);
});

test("names the blob that the source lacks, and publishes nothing", async () => {
  const image = buildImage();
  const { source, target, layer } = stores(image);
  source.blobs.delete(layer.digest);
  const failure = await failureOfCopy(copied(image.manifest.digest, source, target, { tag: "v1" }));
  expect(failure.code).toBe("SOURCE_BROKEN");
  expect(failure.message).toContain(layer.digest);
  expect(target.manifests.size).toBe(0);
});

test("names the child that the source lacks before a byte moves", async () => {
  const image = buildIndex({ layers: 1 });
  const { source, target } = stores(image);
  const child = image.children[2]?.manifest.digest ?? raise();
  source.manifests.delete(child);
  const failure = await failureOfCopy(copied(image.manifest.digest, source, target, { tag: "v1" }));
  expect(failure).toMatchObject({
    code: "SOURCE_BROKEN",
    details: { where: `source/repository@${image.manifest.digest}` },
  });
  expect(failure.message).toContain(child);
  expect(target.count("pushBlob")).toBe(0);
});

test("leaves an image that is gone at the source as what it is: unknown", async () => {
  const image = buildImage();
  const { source, target } = stores(image);
  source.manifests.clear();
  const failure = await failureOfCopy(copied(image.manifest.digest, source, target, { tag: "v1" }));
  expect(failure.code).toBe("MANIFEST_UNKNOWN");
});

test("copies an index that is nested eight levels deep", async () => {
  const image = nested(7); // seven around one that holds images
  const { source, target } = stores(image);
  await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(target.missing("v1")).toEqual([]);
});

test("refuses an index that is nested deeper, before a byte moves", async () => {
  const image = nested(8);
  const { source, target } = stores(image);
  const failure = await failureOfCopy(copied(image.manifest.digest, source, target, { tag: "v1" }));
  expect(failure.code).toBe("INDEX_LOOP");
  expect(target.calls.filter(({ operation }) => operation !== "resolve")).toEqual([]);
});

test("refuses an index that contains itself, from a source that does not verify", async () => {
  const image = buildNestedIndex();
  const { source, target } = stores(image);
  const inner = image.children[0]?.manifest.digest ?? raise();
  const outer = source.manifests.get(image.manifest.digest) ?? raise();
  source.manifests.set(inner, {
    ...outer,
    children: [outer.descriptor],
    descriptor: { ...outer.descriptor, digest: inner },
  });
  const failure = await failureOfCopy(copied(image.manifest.digest, source, target, { tag: "v1" }));
  expect(failure.code).toBe("INDEX_LOOP");
});

test("passes on the refusal of a schema 1 image", async () => {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 1, fsLayers: [], history: [] }));
  const image = buildImage();
  const { source, target } = stores(image);
  source.before(({ operation }) => {
    if (operation === "manifest")
      parseManifest(bytes, { contentType: "application/vnd.docker.distribution.manifest.v1+prettyjws" });
  });
  const failure = await failureOfCopy(copied(image.manifest.digest, source, target, { tag: "v1" }));
  expect(failure.code).toBe("MANIFEST_SCHEMA1");
  expect(target.calls).toEqual([]);
});

test("refuses an index without platforms for an image stream before a byte moves", async () => {
  const plain = buildIndex({ layers: 1, withoutPlatforms: true });
  const inside = buildIndexOf([{ image: plain, platform: { os: "linux", architecture: "amd64" } }]);
  for (const image of [plain, inside]) {
    const { source, target } = stores(image, { indexNeedsPlatforms: true });
    const failure = await failureOfCopy(copied(image.manifest.digest, source, target, { tag: "v1" }));
    expect(failure.code).toBe("INDEX_PLATFORM");
    expect(failure.message).toContain(plain.manifest.digest);
    expect(target.count("look") + target.count("pushBlob") + target.count("pushManifest")).toBe(0);
  }
});

test("ends everything with the first failure, and tells that one", async () => {
  const image = buildIndex({ layers: 8 });
  const { source, target, layer } = stores(image);
  source.before(({ reference }) => {
    if (reference === layer.digest) throw new TagferryError("STALLED", "the first");
  });
  target.before(async ({ operation }) => {
    if (operation === "pushBlob") await new Promise((resolve) => setImmediate(resolve));
  });
  const failure = await failureOfCopy(copied(image.manifest.digest, source, target, { tag: "v1" }));
  expect(failure).toMatchObject({ code: "STALLED", message: "the first" });
  expect(target.count("pushBlob")).toBeLessThan(40);
  expect(target.tags.size).toBe(0);
});

test("leaves the other images of a source alone when one is broken", async () => {
  const [broken, good] = [buildImage({ seed: "broken" }), buildImage({ seed: "good" })];
  const { source, target, layer } = stores(broken);
  source.seed(good, "good");
  source.blobs.delete(layer.digest);
  const lease = inProcessLease();
  const [first, second] = await Promise.allSettled([
    copied(broken.manifest.digest, source, target, { tag: "broken", lease }),
    copied(good.manifest.digest, source, target, { tag: "good", lease }),
  ]);
  expect([first.status, second.status]).toEqual(["rejected", "fulfilled"]);
  expect([...target.tags.keys()]).toEqual(["good"]);
});

test("copies what was left when it is run again after an abort, and fetches no finished blob twice", async () => {
  const image = buildIndex({ layers: 4 });
  const { source, target } = stores(image);
  const stop = new AbortController();
  target.before(() => {
    if (target.count("pushBlob") === 9) stop.abort();
  });
  await failureOfCopy(copied(image.manifest.digest, source, target, { tag: "v1", signal: stop.signal }));
  const finished = [...target.blobs.keys()];
  expect(finished.length).toBeGreaterThan(3);
  source.clear();
  await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(target.missing("v1")).toEqual([]);
  expect(finished.filter((digest) => source.count("blob", digest) > 0)).toEqual([]);
});

type Stores = {
  readonly source: MemoryStore;
  readonly target: MemoryStore;
  /** The last layer of the image, or of its first child. */
  readonly layer: { readonly digest: Digest; readonly bytes: Uint8Array };
};

function stores(image: BuiltImage, capabilities: Partial<TargetCapabilities> = {}): Stores {
  const source = memoryStore({ name: "source/repository" });
  source.seed(image, "v1");
  const target = memoryStore({ name: "target/repository", capabilities });
  const holder = image.children[0] ?? image;
  const [digest, bytes] = [...holder.blobs].at(-1) ?? [];
  if (!digest || !bytes)
    return { source, target, layer: { digest: image.manifest.digest, bytes: Buffer.of() } };
  return { source, target, layer: { digest, bytes } };
}

function nested(levels: number): BuiltImage {
  const inner = buildIndex({ layers: 1, platforms: [{ os: "linux", architecture: "amd64" }] });
  return Array.from({ length: levels }).reduce<BuiltImage>((image) => buildIndexOf([{ image }]), inner);
}

function raise(): never {
  throw new Error("the test's image is not what the test thinks");
}
