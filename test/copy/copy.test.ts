import { expect, test } from "vitest";

import { copyImage } from "../../src/copy/copy.ts";
import { inProcessLease } from "../../src/limits/in-process-lease.ts";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import type { ImageTarget } from "../../src/oci/store.ts";
import { copied, failureOfCopy } from "../support/copying.ts";
import { buildLayer } from "../support/images/content.ts";
import {
  allBlobs,
  allManifests,
  buildArtifact,
  buildImage,
  buildIndex,
  buildIndexOf,
  buildNestedIndex,
} from "../support/images/images.ts";
import type { BuiltImage } from "../support/images/manifest.ts";
import { type MemoryStore, memoryStore } from "../support/memory-store.ts";

const SHAPES: readonly (readonly [string, BuiltImage])[] = [
  ["an image", buildImage({ layers: 4 })],
  ["a Docker image", buildImage({ docker: true })],
  ["an image without layers", buildImage({ layers: [] })],
  ["an image with odd white space and unknown fields", buildImage({ oddWhitespace: true, extra: { x: 1 } })],
  ["an artifact", buildArtifact()],
  ["a withdrawn artifact manifest", buildArtifact({ withdrawn: true })],
  ["an index", buildIndex({ layers: 1 })],
  ["a Docker list", buildIndex({ docker: true, layers: 1 })],
  ["an index with attestations", buildIndex({ layers: 1, attestations: true })],
  ["a nested index", buildNestedIndex()],
];

test.for(SHAPES)("copies %s whole and byte by byte", async ([, image]) => {
  const source = sourceOf(image);
  const target = memoryStore({ name: "target/repository" });
  const { summary } = await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(target.tags).toEqual(new Map([["v1", image.manifest.digest]]));
  expect(target.missing("v1")).toEqual([]);
  for (const { digest, bytes } of allManifests(image))
    expect(Buffer.compare(target.manifests.get(digest)?.bytes ?? Buffer.of(), bytes)).toBe(0);
  expect(summary.blobs).toEqual({ pushed: allBlobs(image).size, mounted: 0, present: 0 });
  expect(summary.bytes).toBe(totalBytes(image));
  expect(summary.manifests).toBe(allManifests(image).length);
});

test.for(SHAPES)("writes %s in the order in which nobody sees a part of it", async ([, image]) => {
  const source = sourceOf(image);
  const target = memoryStore({ name: "target/repository" });
  const seen = new Set<string>();
  const early: string[] = [];
  target.before(({ operation, reference }) => {
    const { blobs = [], children = [] } =
      operation === "pushManifest" ? (source.manifests.get(reference as Digest) ?? {}) : {};
    early.push(...[...blobs, ...children].map(({ digest }) => digest).filter((one) => !seen.has(one)));
    if (operation !== "look") seen.add(reference);
  });
  await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(early).toEqual([]);
  expect(seen.size).toBe(allBlobs(image).size + allManifests(image).length);
  expect(target.calls.at(-1)).toMatchObject({ operation: "pushManifest", tag: "v1" });
  expect(target.calls.filter(({ tag }) => tag)).toHaveLength(1);
});

test("fetches every blob and every manifest once, and sends each once", async () => {
  const shared = buildLayer("shared");
  const image = buildIndex({ layers: [shared, 300] });
  const source = sourceOf(image);
  const target = memoryStore({ name: "target/repository" });
  await copied(image.manifest.digest, source, target, { tag: "v1" });
  for (const digest of allBlobs(image).keys()) {
    expect(source.count("blob", digest)).toBe(1);
    expect(target.count("pushBlob", digest)).toBe(1);
  }
  for (const { digest } of allManifests(image)) {
    expect(source.count("manifest", digest)).toBe(1);
    expect(target.count("pushManifest", digest)).toBe(1);
  }
});

test("takes a layer that stands twice in an image once", async () => {
  const layer = buildLayer("twice");
  const image = buildImage({ layers: [layer, 500, layer] });
  const source = sourceOf(image);
  const target = memoryStore({ name: "target/repository" });
  const { summary } = await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(summary.blobs).toEqual({ pushed: 3, mounted: 0, present: 0 });
  expect(source.count("blob")).toBe(3);
});

test("asks a target nothing about a new image but what its blobs need", async () => {
  const image = buildImage();
  const target = memoryStore({ name: "target/repository" });
  await copied(image.manifest.digest, sourceOf(image), target, { tag: "v1" });
  expect(target.count("resolve")).toBe(0);
  expect(target.count("manifest")).toBe(0);
});

test("publishes five tags of one image by one write each, and moves its blobs once", async () => {
  const image = buildIndex({ layers: 2 });
  const source = sourceOf(image);
  const target = memoryStore({ name: "target/repository" });
  const lease = inProcessLease();
  const tags = ["1", "1.2", "1.2.3", "latest", "stable"];
  await Promise.all(tags.map((tag) => copied(image.manifest.digest, source, target, { tag, lease })));
  expect([...target.tags.keys()].toSorted()).toEqual(tags.toSorted());
  expect(target.count("pushBlob")).toBe(allBlobs(image).size);
  expect(source.count("blob")).toBe(allBlobs(image).size);
  expect(target.count("pushManifest")).toBe(image.children.length + tags.length);
});

test("gives a second tag to an image that is there by one question and one write", async () => {
  const image = buildIndex({ layers: 2 });
  const target = memoryStore({ name: "target/repository" });
  target.seed(image, "old");
  const { summary } = await copied(image.manifest.digest, sourceOf(image), target, {
    tag: "new",
    isTagMissing: true,
  });
  expect(target.calls.map(({ operation }) => operation)).toEqual(["resolve", "pushManifest"]);
  expect(summary).toMatchObject({ bytes: 0, blobs: { pushed: 0, mounted: 0, present: 0 } });
});

test("passes over the layers of an image whose config and manifest are there", async () => {
  const image = buildImage({ layers: 10 });
  const target = memoryStore({ name: "target/repository" });
  target.seed(image);
  const { summary } = await copied(image.manifest.digest, sourceOf(image), target, {
    tag: "v1",
    isTagMissing: true,
  });
  expect(target.count("look")).toBe(1);
  expect(target.count("resolve")).toBe(1);
  expect(summary.blobs).toEqual({ pushed: 0, mounted: 0, present: 11 });
  expect(target.tags.get("v1")).toBe(image.manifest.digest);
});

test("does not believe a manifest where content may lie elsewhere", async () => {
  const image = buildIndex({ layers: 1 });
  const capabilities = { manifestImpliesContent: false };
  const target = memoryStore({ name: "target/repository", capabilities });
  target.seed(image, "old");
  const [lost = raise()] = image.children[0]?.blobs.keys() ?? [];
  target.blobs.delete(lost);
  await copied(image.manifest.digest, sourceOf(image), target, { tag: "new" });
  expect(target.missing("new")).toEqual([]);
});

test("looks beneath an index that may be sparse", async () => {
  const image = buildIndex({ layers: 1 });
  const target = memoryStore({ name: "target/repository", capabilities: { sparseIndex: true } });
  target.seed(image, "old");
  const [child = raise()] = image.children;
  target.manifests.delete(child.manifest.digest);
  for (const digest of child.blobs.keys()) target.blobs.delete(digest);
  const source = sourceOf(image);
  await copied(image.manifest.digest, source, target, { tag: "new" });
  expect(target.missing("new")).toEqual([]);
  expect(source.count("manifest")).toBe(2); // the index and the child that was missing
});

test("mounts blobs that another repository of the same registry has", async () => {
  const image = buildImage({ layers: 3 });
  const pool = new Map();
  memoryStore({ name: "target/first", pool }).seed(image);
  const source = sourceOf(image);
  const target = memoryStore({ name: "target/second", pool });
  const { summary } = await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(summary).toMatchObject({ bytes: 0, blobs: { pushed: 0, mounted: 4, present: 0 } });
  expect(source.count("blob")).toBe(0);
});

test("sends a blob that two copies share once, and the other mounts it", async () => {
  const layer = buildLayer("base", { sizeBytes: 300_000 });
  const images = ["a", "b", "c"].map((seed) => buildImage({ seed, layers: [layer, 100] }));
  const source = memoryStore({ name: "source/repository" });
  for (const image of images) source.seed(image);
  const pool = new Map();
  const lease = inProcessLease();
  const summaries = await Promise.all(
    images.map((image, position) =>
      copied(image.manifest.digest, source, memoryStore({ name: `target/r${position}`, pool }), {
        tag: "v1",
        lease,
      }),
    ),
  );
  expect(summaries.reduce((sum, { summary }) => sum + summary.blobs.mounted, 0)).toBe(2);
  expect(source.count("blob", digestOf(layer.bytes))).toBe(1);
});

test("publishes what the tag meant when it was resolved, although it moves meanwhile", async () => {
  const [before, after] = [
    buildIndex({ seed: "before", layers: 1 }),
    buildIndex({ seed: "after", layers: 1 }),
  ];
  const source = sourceOf(before, "latest");
  const resolved = (await source.resolve("latest")) ?? raise();
  source.before(() => source.seed(after, "latest"));
  const target = memoryStore({ name: "target/repository" });
  await copied(resolved.digest, source, target, { tag: "latest" });
  expect(target.tags.get("latest")).toBe(before.manifest.digest);
  expect(target.missing("latest")).toEqual([]);
  expect(target.manifests.has(after.manifest.digest)).toBe(false);
});

test("writes an image without a tag by its digest", async () => {
  const image = buildImage();
  const target = memoryStore({ name: "target/repository" });
  await copied(image.manifest.digest, sourceOf(image), target);
  expect(target.tags.size).toBe(0);
  expect(target.manifests.has(image.manifest.digest)).toBe(true);
  expect(target.missing(image.manifest.digest)).toEqual([]);
});

test("D28 passes foreign layers by, and tells so", async () => {
  const image = buildImage({ foreign: true });
  const source = sourceOf(image);
  const target = memoryStore({ name: "target/repository" });
  const { events, summary } = await copied(image.manifest.digest, source, target, { tag: "v1" });
  const foreign = events.filter(({ kind }) => kind === "foreign");
  expect(foreign).toHaveLength(1);
  expect(summary.blobs.pushed).toBe(image.blobs.size);
  expect(target.tags.get("v1")).toBe(image.manifest.digest);
});

test("takes a blob that stands in the manifest from there", async () => {
  const image = buildArtifact();
  const source = sourceOf(image);
  const target = memoryStore({ name: "target/repository" });
  await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(source.count("blob")).toBe(1); // the file; the empty config came with the manifest
  expect(target.missing("v1")).toEqual([]);
});

test("tells totals before the first byte, and as many bytes as there are", async () => {
  const image = buildImage({ layers: [3_000_000, 10] });
  const target = memoryStore({ name: "target/repository" });
  const { events } = await copied(image.manifest.digest, sourceOf(image), target, { tag: "v1" });
  const bytes = totalBytes(image);
  expect(events[0]).toEqual({ kind: "planned", manifests: 1, blobs: 3, bytes });
  const moved = events.flatMap((event) => (event.kind === "bytes" ? [event.bytes] : []));
  expect(moved.reduce((sum, count) => sum + count, 0)).toBe(bytes);
  expect(events.at(-1)).toMatchObject({ kind: "manifest", tag: "v1", how: "pushed" });
});

test("never tells the end of a blob before its bytes", async () => {
  const image = buildImage({ layers: [2_000_000, 2_000_000, 2_000_000] });
  const target = memoryStore({ name: "target/repository" });
  const { events } = await copied(image.manifest.digest, sourceOf(image), target, { tag: "v1" });
  const late = events.filter(
    (event, position) =>
      event.kind === "bytes" &&
      events.slice(0, position).some((one) => one.kind === "blob" && one.descriptor.digest === event.digest),
  );
  expect(events.filter(({ kind }) => kind === "bytes").length).toBeGreaterThan(3);
  expect(late).toEqual([]);
});

test.for([1, 2, 5])("moves at most %i blobs of an image at a time", async (blobs) => {
  const image = buildIndex({ layers: 6 });
  const source = sourceOf(image);
  const target = memoryStore({ name: "target/repository" });
  let [open, peak] = [0, 0];
  const watched = {
    ...target,
    async pushBlob(...call: Parameters<typeof target.pushBlob>) {
      open += 1;
      peak = Math.max(peak, open);
      const placed = await target.pushBlob(...call);
      open -= 1;
      return placed;
    },
  };
  await copied(image.manifest.digest, source, watched, { tag: "v1", concurrency: { blobs } });
  expect(peak).toBe(blobs);
});

test("reads at most as many manifests at a time as it was told", async () => {
  const image = buildIndex({ layers: 1 });
  const source = sourceOf(image);
  let [open, peak] = [0, 0];
  const watched = {
    ...source,
    async manifest(...call: Parameters<typeof source.manifest>) {
      open += 1;
      peak = Math.max(peak, open);
      const manifest = await source.manifest(...call);
      open -= 1;
      return manifest;
    },
  };
  const target = memoryStore({ name: "target/repository" });
  await copied(image.manifest.digest, watched, target, { tag: "v1", concurrency: { manifests: 2 } });
  expect(peak).toBe(2);
});

test("waits for who reads its events", async () => {
  const image = buildIndex({ layers: 40 });
  const target = memoryStore({ name: "target/repository" });
  const copying = copyImage({ digest: image.manifest.digest }, sourceOf(image), target, {
    tag: "v1",
    referrers: false,
    lease: inProcessLease(),
  });
  await copying.next();
  const settled = await untilQuiet(() => target.calls.length);
  expect(settled).toBeLessThan(150);
  expect(target.tags.size).toBe(0);
  for await (const event of copying) expect(event.kind).not.toBe("healed");
  expect(target.missing("v1")).toEqual([]);
});

test("stops, and leaves no tag, when nobody reads its events any more", async () => {
  const image = buildIndex({ layers: 10 });
  const source = sourceOf(image);
  const target = memoryStore({ name: "target/repository" });
  const copying = copyImage({ digest: image.manifest.digest }, source, target, {
    tag: "v1",
    referrers: false,
    lease: inProcessLease(),
  });
  for await (const event of copying) if (event.kind === "blob") break;
  const calls = source.calls.length + target.calls.length;
  expect(await untilQuiet(() => source.calls.length + target.calls.length)).toBe(calls);
  expect(target.tags.size).toBe(0);
});

test("has nothing under way any more when who stopped reading goes on", async () => {
  const image = buildIndex({ layers: 10 });
  const target = memoryStore({ name: "target/repository" });
  let open = 0;
  const deaf: ImageTarget = {
    ...target,
    async pushBlob(descriptor, content) {
      open += 1;
      for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      try {
        return await target.pushBlob(descriptor, content);
      } finally {
        open -= 1;
      }
    },
  };
  const options = { tag: "v1", referrers: false, lease: inProcessLease() };
  for await (const event of copyImage({ digest: image.manifest.digest }, sourceOf(image), deaf, options))
    if (event.kind === "blob") break;
  expect(open).toBe(0);
});

test("writes no manifest after an abort, although the target does not listen to it", async () => {
  const image = buildImage();
  const target = memoryStore({ name: "target/repository" });
  const stop = new AbortController();
  const deaf: ImageTarget = {
    ...target,
    async pushBlob(descriptor, content) {
      const placed = await target.pushBlob(descriptor, content);
      if (target.count("pushBlob") === image.blobs.size) stop.abort(new Error("enough"));
      return placed;
    },
    pushManifest: (manifest, { tag } = {}) => target.pushManifest(manifest, tag === undefined ? {} : { tag }),
  };
  const { signal } = stop;
  await expect(copied(image.manifest.digest, sourceOf(image), deaf, { tag: "v1", signal })).rejects.toThrow(
    "enough",
  );
  expect(target.count("pushManifest")).toBe(0);
});

test("reads a manifest that two nested indexes list once", async () => {
  const child = buildImage();
  const nested = ["one", "other"].map((note) => buildIndexOf([{ image: child }], { annotations: { note } }));
  const image = buildIndexOf(nested.map((one) => ({ image: one })));
  const source = sourceOf(image);
  const target = memoryStore({ name: "target/repository" });
  await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(source.count("manifest", child.manifest.digest)).toBe(1);
  expect(target.count("pushManifest", child.manifest.digest)).toBe(1);
});

test("concludes nothing from an empty config, which all artifacts share", async () => {
  const [there, image] = [
    buildArtifact(),
    buildArtifact({ files: [{ mediaType: "text/plain", bytes: Buffer.from("new") }] }),
  ];
  const target = memoryStore({ name: "target/repository" });
  target.seed(there);
  await copied(image.manifest.digest, sourceOf(image), target, { tag: "v1" });
  expect(target.count("resolve")).toBe(0);
  expect(target.missing("v1")).toEqual([]);
});

test("leaves no tag and nothing under way when it is aborted, wherever it stands", async () => {
  const image = buildIndex({ layers: 2 });
  const whole = memoryStore({ name: "target/repository" });
  const wholeSource = sourceOf(image);
  await copied(image.manifest.digest, wholeSource, whole, { tag: "v1" });
  const boundaries = whole.calls.length + wholeSource.calls.length;
  for (let boundary = 1; boundary <= boundaries; boundary += 1) {
    const stop = new AbortController();
    const source = sourceOf(image);
    const target = memoryStore({ name: "target/repository" });
    let calls = 0;
    const count = (): void => {
      calls += 1;
      if (calls === boundary) stop.abort(new Error("enough"));
    };
    source.before(count);
    target.before(count);
    const { signal } = stop;
    const copying = copied(image.manifest.digest, source, target, { tag: "v1", signal });
    await expect(copying).rejects.toThrow("enough");
    expect(target.tags.size).toBe(0);
    const after = calls;
    await Promise.resolve();
    expect(calls).toBe(after);
  }
});

test("gives its leases back after a failure", async () => {
  const image = buildImage();
  const source = sourceOf(image);
  const target = memoryStore({ name: "target/repository" });
  const lease = inProcessLease();
  let failing = true;
  target.before(() => {
    if (failing) throw new Error("down");
  });
  await failureOfCopy(copied(image.manifest.digest, source, target, { tag: "v1", lease }));
  failing = false;
  await copied(image.manifest.digest, source, target, { tag: "v1", lease });
  expect(target.missing("v1")).toEqual([]);
});

function sourceOf(image: BuiltImage, tag = "v1"): MemoryStore {
  const source = memoryStore({ name: "source/repository" });
  source.seed(image, tag);
  return source;
}

function totalBytes(image: BuiltImage): number {
  return allBlobs(image)
    .values()
    .reduce((sum, bytes) => sum + bytes.length, 0);
}

function raise(): never {
  throw new Error("the test's image is not what the test thinks");
}

/** Waits for turns of the event loop until a number no longer changes. */
async function untilQuiet(read: () => number): Promise<number> {
  for (let [quiet, last] = [0, read()]; ;) {
    if (quiet > 20) return last;
    await new Promise((resolve) => setImmediate(resolve));
    quiet = read() === last ? quiet + 1 : 0;
    last = read();
  }
}
