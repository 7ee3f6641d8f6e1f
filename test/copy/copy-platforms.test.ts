import { expect, test } from "vitest";

import { parsePlatform } from "../../src/oci/platform.ts";
import { copied, failureOfCopy } from "../support/copying.ts";
import {
  allManifests,
  buildArtifact,
  buildImage,
  buildIndex,
  buildIndexOf,
  buildNestedIndex,
  FIVE_PLATFORMS,
} from "../support/images/images.ts";
import type { BuiltImage } from "../support/images/manifest.ts";
import { type MemoryStore, memoryStore } from "../support/memory-store.ts";

const SPARSE = { sparseIndex: true, manifestImpliesContent: false };
const AMD64 = [parsePlatform("linux/amd64")];

test("copies the chosen platforms alone, and leaves the index and its digest as they are", async () => {
  const image = buildIndex({ layers: 1 });
  const { source, target } = stores(image);
  const platforms = [parsePlatform("linux/amd64"), parsePlatform("linux/s390x")];
  const { summary } = await copied(image.manifest.digest, source, target, { tag: "v1", platforms });
  expect(target.tags.get("v1")).toBe(image.manifest.digest);
  expect(summary.manifests).toBe(3);
  const there = image.children.map(({ manifest }) => target.manifests.has(manifest.digest));
  expect(there).toEqual([true, false, false, false, true]);
});

test("reads no manifest of a platform that was not chosen", async () => {
  const image = buildIndex({ layers: 1 });
  const { source, target } = stores(image);
  await copied(image.manifest.digest, source, target, { tag: "v1", platforms: AMD64 });
  expect(source.count("manifest")).toBe(2);
});

test("takes the attestation of a chosen platform along, and no other", async () => {
  const image = buildIndex({ layers: 1, attestations: true });
  const { source, target } = stores(image);
  await copied(image.manifest.digest, source, target, { tag: "v1", platforms: AMD64 });
  const [first, , , , , attestation] = image.children;
  const wanted = [first, attestation, image].map((one) => one?.manifest.digest);
  expect(new Set(target.manifests.keys())).toEqual(new Set(wanted));
});

test.for([
  ["linux/arm64", 1],
  ["linux/arm64/v8", 1],
  ["linux/arm/v7", 2],
  ["linux/arm", 2],
] as const)("understands %s as people mean it", async ([text, position]) => {
  const image = buildIndex({ layers: 1 });
  const { source, target } = stores(image);
  const platforms = [parsePlatform(text)];
  await copied(image.manifest.digest, source, target, { tag: "v1", platforms });
  const chosen = image.children[position]?.manifest.digest;
  expect([...target.manifests.keys()]).toEqual([chosen, image.manifest.digest]);
});

test("chooses within a nested index that has no platform of its own", async () => {
  const image = buildNestedIndex();
  const { source, target } = stores(image);
  const platforms = [parsePlatform("linux/arm64")];
  await copied(image.manifest.digest, source, target, { tag: "v1", platforms });
  const [inner] = image.children;
  const wanted = [inner?.children[1], inner, image].map((one) => one?.manifest.digest);
  expect([...target.manifests.keys()]).toEqual(wanted);
});

test("leaves out a nested index that has nothing of what was chosen", async () => {
  const image = buildNestedIndex();
  const { source, target } = stores(image);
  const platforms = [parsePlatform("linux/riscv64")];
  await copied(image.manifest.digest, source, target, { tag: "v1", platforms });
  const wanted = [image.children[1], image].map((one) => one?.manifest.digest);
  expect([...target.manifests.keys()]).toEqual(wanted);
});

test("names the platforms there are when none of the wanted is there", async () => {
  const image = buildNestedIndex();
  const { source, target } = stores(image);
  const platforms = [parsePlatform("windows/amd64")];
  const failure = await failureOfCopy(
    copied(image.manifest.digest, source, target, { tag: "v1", platforms }),
  );
  expect(failure.code).toBe("PLATFORM_ABSENT");
  expect(failure.details["found"]).toBe("linux/riscv64, linux/amd64, linux/arm64/v8");
  expect(target.calls).toEqual([]);
});

test("refuses a choice before a byte moves where the target wants whole indexes", async () => {
  const image = buildIndex({ layers: 1 });
  const { source } = stores(image);
  const target = memoryStore({ name: "target/repository" });
  const copying = copied(image.manifest.digest, source, target, { tag: "v1", platforms: AMD64 });
  const failure = await failureOfCopy(copying);
  expect(failure.code).toBe("CONFIG_PLATFORM");
  expect(failure.message).toContain("target/repository");
  expect(target.calls).toEqual([]);
});

test("takes a choice that leaves nothing out everywhere", async () => {
  const image = buildIndex({ layers: 1, attestations: true });
  const { source } = stores(image);
  const target = memoryStore({ name: "target/repository" });
  await copied(image.manifest.digest, source, target, { tag: "v1", platforms: FIVE_PLATFORMS });
  expect(target.manifests.size).toBe(allManifests(image).length);
});

test("takes a single image of a wanted platform, and refuses one of another", async () => {
  const image = buildImage({ platform: { os: "linux", architecture: "s390x" } });
  const { source, target } = stores(image);
  const copying = copied(image.manifest.digest, source, target, { tag: "v1", platforms: AMD64 });
  const failure = await failureOfCopy(copying);
  expect(failure).toMatchObject({ code: "PLATFORM_ABSENT", details: { found: "linux/s390x" } });
  expect(target.calls).toEqual([]);
  const platforms = [...AMD64, parsePlatform("linux/s390x")];
  await copied(image.manifest.digest, source, target, { tag: "v1", platforms });
  expect(target.missing("v1")).toEqual([]);
});

test("takes what has no platform although platforms were chosen", async () => {
  const image = buildArtifact();
  const { source, target } = stores(image);
  await copied(image.manifest.digest, source, target, { tag: "v1", platforms: AMD64 });
  expect(target.missing("v1")).toEqual([]);
});

test("takes two platforms that share one manifest", async () => {
  const child = buildImage();
  const image = buildIndexOf([
    { image: child, platform: { os: "linux", architecture: "amd64" } },
    { image: child, platform: { os: "linux", architecture: "386" } },
  ]);
  const { source, target } = stores(image);
  await copied(image.manifest.digest, source, target, { tag: "v1", platforms: AMD64 });
  expect(target.count("pushManifest", child.manifest.digest)).toBe(1);
  expect(target.missing("v1")).toEqual([]);
});

function stores(image: BuiltImage): { source: MemoryStore; target: MemoryStore } {
  const source = memoryStore({ name: "source/repository" });
  source.seed(image, "v1");
  return { source, target: memoryStore({ name: "target/repository", capabilities: SPARSE }) };
}
