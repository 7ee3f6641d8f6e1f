import { expect, test } from "vitest";

import { TagferryError } from "../../src/errors/error.ts";
import { copied, failureOfCopy } from "../support/copying.ts";
import { allBlobs, buildImage, buildIndex } from "../support/images/images.ts";
import type { BuiltImage } from "../support/images/manifest.ts";
import { type MemoryStore, memoryStore } from "../support/memory-store.ts";

test("sends a blob again that the target lost before its manifest came, and only that", async () => {
  const image = buildImage({ layers: 4 });
  const { source, target } = stores(image);
  const lost = [...image.blobs.keys()][2] ?? raise();
  loseOnce(target, image, () => target.lose(lost));
  const { events, summary } = await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(target.missing("v1")).toEqual([]);
  expect(target.count("pushBlob", lost)).toBe(2);
  expect(target.count("pushBlob")).toBe(image.blobs.size + 1);
  expect(events).toContainEqual({ kind: "healed", digests: [lost] });
  expect(summary.manifests).toBe(1);
});

test("sends a child again that the target lost, with what is beneath it", async () => {
  const image = buildIndex({ layers: 1 });
  const { source, target } = stores(image);
  const child = image.children[1] ?? raise();
  const [blob = raise()] = child.blobs.keys();
  loseOnce(target, image, () => {
    target.lose(child.manifest.digest);
    target.lose(blob);
  });
  const { events } = await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(target.missing("v1")).toEqual([]);
  const healed = events.find((event) => event.kind === "healed")?.digests ?? [];
  expect(healed).toContain(blob);
  expect(healed).toContain(child.manifest.digest);
});

test("heals an image whose manifest was there and promised more than there was", async () => {
  const image = buildIndex({ layers: 1 });
  const { source, target } = stores(image);
  target.seed(image, "old");
  const child = image.children[3] ?? raise();
  target.lose(child.manifest.digest);
  for (const digest of child.blobs.keys()) target.lose(digest);
  const { events } = await copied(image.manifest.digest, source, target, { tag: "new" });
  expect(target.missing("new")).toEqual([]);
  expect(events.some(({ kind }) => kind === "healed")).toBe(true);
});

test("publishes nothing when the target loses content again", async () => {
  const image = buildImage();
  const { source, target } = stores(image);
  const [lost = raise()] = image.blobs.keys();
  target.before(({ operation }) => {
    if (operation === "pushManifest") target.lose(lost);
  });
  const failure = await failureOfCopy(copied(image.manifest.digest, source, target, { tag: "v1" }));
  expect(failure.code).toBe("TARGET_BLOB_UNKNOWN");
  expect(target.count("pushManifest")).toBe(2);
  expect(target.tags.size).toBe(0);
});

test("does not heal what is refused for another reason", async () => {
  const image = buildImage();
  const { source, target } = stores(image);
  target.before(({ operation }) => {
    if (operation === "pushManifest") throw new TagferryError("TARGET_IMMUTABLE", "v1 is immutable");
  });
  const failure = await failureOfCopy(copied(image.manifest.digest, source, target, { tag: "v1" }));
  expect(failure.code).toBe("TARGET_IMMUTABLE");
  expect(target.count("pushManifest")).toBe(1);
  expect(source.count("blob")).toBe(allBlobs(image).size);
});

test("heals a chosen platform without bringing the others", async () => {
  const image = buildIndex({ layers: 1 });
  const source = memoryStore({ name: "source/repository" });
  source.seed(image, "v1");
  const capabilities = { sparseIndex: true, manifestImpliesContent: false };
  const target = memoryStore({ name: "target/repository", capabilities });
  const child = image.children[0] ?? raise();
  const [lost = raise()] = child.blobs.keys();
  loseOnce(target, child, () => target.lose(lost));
  const platforms = [{ os: "linux", architecture: "amd64" }];
  await copied(image.manifest.digest, source, target, { tag: "v1", platforms });
  expect(target.missing(child.manifest.digest)).toEqual([]);
  expect([...target.manifests.keys()]).toEqual([child.manifest.digest, image.manifest.digest]);
});

test("heals an index of chosen platforms without bringing the others", async () => {
  const image = buildIndex({ layers: 1 });
  const source = memoryStore({ name: "source/repository" });
  source.seed(image, "v1");
  const capabilities = { sparseIndex: true, manifestImpliesContent: false };
  const target = memoryStore({ name: "target/repository", capabilities });
  loseOnce(target, image, () => {
    throw new TagferryError("TARGET_BLOB_UNKNOWN", "the child was garbage");
  });
  const platforms = [{ os: "linux", architecture: "amd64" }];
  await copied(image.manifest.digest, source, target, { tag: "v1", platforms });
  expect(target.manifests.size).toBe(2);
  expect(target.tags.get("v1")).toBe(image.manifest.digest);
});

test("heals a child although manifests are written one at a time", async () => {
  const image = buildIndex({ layers: 1 });
  const { source, target } = stores(image);
  const child = image.children[0] ?? raise();
  const [lost = raise()] = child.blobs.keys();
  loseOnce(target, child, () => target.lose(lost));
  const concurrency = { manifests: 1, blobs: 1 };
  await copied(image.manifest.digest, source, target, { tag: "v1", concurrency });
  expect(target.missing("v1")).toEqual([]);
});

/** Runs `lose` just before the first write of the image's manifest. */
function loseOnce(target: MemoryStore, { manifest }: BuiltImage, lose: () => void): void {
  let lost = false;
  target.before(({ operation, reference }) => {
    if (lost || operation !== "pushManifest" || reference !== manifest.digest) return;
    lost = true;
    lose();
  });
}

function stores(image: BuiltImage): { source: MemoryStore; target: MemoryStore } {
  const source = memoryStore({ name: "source/repository" });
  source.seed(image, "v1");
  return { source, target: memoryStore({ name: "target/repository" }) };
}

function raise(): never {
  throw new Error("the test's image is not what the test thinks");
}
