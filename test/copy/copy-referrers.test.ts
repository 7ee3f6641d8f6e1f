import { expect, test } from "vitest";

import type { ImageSource } from "../../src/oci/store.ts";
import { copied, failureOfCopy } from "../support/copying.ts";
import {
  allBlobs,
  allManifests,
  buildArtifact,
  buildImage,
  buildIndex,
  buildIndexOf,
  buildSbom,
  buildSignature,
  cosignTag,
  signCosign,
  withReferrers,
} from "../support/images/images.ts";
import type { BuiltImage } from "../support/images/manifest.ts";
import { type MemoryStore, memoryStore } from "../support/memory-store.ts";

/** What OpenShift's registry can do. */
const OPENSHIFT = {
  sparseIndex: true,
  childrenVisible: false,
  referrers: "tags",
  indexNeedsPlatforms: true,
  manifestImpliesContent: false,
} as const;

const image = buildImage();
const sbom = buildSbom(image);
const signed = signCosign(withReferrers(image, withReferrers(sbom, buildSignature(sbom))));

test("carries signatures, SBOMs and what refers to those", async () => {
  const { source, target } = stores(signed);
  const { summary } = await copied(image.manifest.digest, source, target, { tag: "v1", referrers: true });
  expect(summary).toMatchObject({ referrers: 3, notCarried: 0 });
  for (const { digest } of allManifests(signed)) expect(target.missing(digest)).toEqual([]);
  expect([...target.tags.keys()].toSorted()).toEqual([cosignTag(image.manifest.digest), "v1"].toSorted());
});

test("writes the subject, then what refers to it, and the tag when its signatures are there", async () => {
  const { source, target } = stores(signed);
  await copied(image.manifest.digest, source, target, { tag: "v1", referrers: true });
  const writes = target.calls.filter(({ operation }) => operation === "pushManifest");
  const at = (digest: string): number => writes.findIndex(({ reference }) => reference === digest);
  const [, notation] = [sbom, buildSignature(sbom)];
  expect(at(image.manifest.digest)).toBe(0);
  expect(at(notation?.manifest.digest ?? "")).toBeGreaterThan(at(sbom.manifest.digest));
  expect(writes.at(-1)).toMatchObject({ reference: image.manifest.digest, tag: "v1" });
  expect(writes).toHaveLength(5); // the image twice: by its digest, then by its tag
});

test("writes an image that nothing refers to once", async () => {
  const { source, target } = stores(image);
  await copied(image.manifest.digest, source, target, { tag: "v1", referrers: true });
  expect(target.count("pushManifest")).toBe(1);
});

test("asks for no referrers when none are wanted", async () => {
  const { source, target } = stores(signed);
  const { summary } = await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(source.count("referrers")).toBe(0);
  expect(summary.referrers).toBe(0);
  expect([...target.tags.keys()]).toEqual(["v1"]);
});

test("carries what refers to a child of an index, and to the index", async () => {
  const plain = buildIndex({ layers: 1, attestations: true });
  const [child = raise()] = plain.children;
  const whole: BuiltImage = {
    ...signCosign(plain),
    children: plain.children.map((one) =>
      one === child ? signCosign(withReferrers(one, buildSbom(one))) : one,
    ),
  };
  const { source, target } = stores(whole);
  const { summary } = await copied(plain.manifest.digest, source, target, { tag: "v1", referrers: true });
  expect(summary.referrers).toBe(3);
  for (const digest of [plain.manifest.digest, child.manifest.digest])
    expect(target.tags.has(cosignTag(digest))).toBe(true);
  const asked = source.calls.filter(({ operation }) => operation === "referrers");
  expect(asked).toHaveLength(1 + 5 + 3); // the index, its images, the referrers; not the attestations
});

test("carries what refers to a child of an index, also where the target has the index by its digest", async () => {
  const plain = buildIndexOf([{ image: buildIndex({ layers: 1 }) }]);
  const [nested = raise()] = plain.children;
  const [child = raise()] = nested.children;
  const children = nested.children.map((one) => (one === child ? signCosign(one) : one));
  const { source, target } = stores({ ...plain, children: [{ ...nested, children }] });
  await copied(plain.manifest.digest, source, target, { referrers: false });
  const { summary } = await copied(plain.manifest.digest, source, target, { tag: "v1", referrers: true });
  expect(summary.referrers).toBe(1);
  expect(target.tags.has(cosignTag(child.manifest.digest))).toBe(true);
});

test("carries what refers to a chosen platform alone", async () => {
  const plain = buildIndex({ layers: 1 });
  const whole: BuiltImage = { ...plain, children: plain.children.map((one) => signCosign(one)) };
  const { source } = stores(whole);
  const target = memoryStore({ name: "target/repository", capabilities: OPENSHIFT });
  const platforms = [{ os: "linux", architecture: "amd64" }];
  const options = { tag: "v1", referrers: true, platforms };
  const { summary } = await copied(plain.manifest.digest, source, target, options);
  expect(summary.referrers).toBe(1);
});

test("carries what cosign tags to a registry that keeps nothing else, and counts the rest", async () => {
  const { source } = stores(signed);
  const target = memoryStore({ name: "target/repository", capabilities: OPENSHIFT });
  const options = { tag: "v1", referrers: true };
  const { summary, events } = await copied(image.manifest.digest, source, target, options);
  expect(summary).toMatchObject({ referrers: 1, notCarried: 1 });
  expect(events).toContainEqual({
    kind: "notCarried",
    referrers: 1,
    artifactTypes: ["application/spdx+json"],
  });
  expect(target.manifests.has(sbom.manifest.digest)).toBe(false);
  const tagged = target.calls.filter(({ tag }) => tag !== undefined).map(({ tag }) => tag);
  expect(tagged).toEqual([cosignTag(image.manifest.digest), "v1"]);
});

test("leaves a referrer behind that the source lists and has no more, and tells so", async () => {
  const { source, target } = stores(withReferrers(image, sbom));
  const gone = sbom.manifest.digest;
  source.before(({ operation, reference }) => {
    if (operation === "manifest" && reference === gone) source.manifests.delete(gone);
  });
  const options = { tag: "v1", referrers: true };
  const { summary, events } = await copied(image.manifest.digest, source, target, options);
  expect(summary).toMatchObject({ referrers: 0, notCarried: 1 });
  expect(events.filter(({ kind }) => kind === "notCarried")).toHaveLength(1);
  expect(target.tags.get("v1")).toBe(image.manifest.digest);
});

test("publishes nothing when a signature lacks a part", async () => {
  const { source, target } = stores(signed);
  const [payload = raise()] = [...(signed.referrers.at(-1)?.image.blobs.keys() ?? [])].slice(-1);
  source.blobs.delete(payload);
  const copying = copied(image.manifest.digest, source, target, { tag: "v1", referrers: true });
  const failure = await failureOfCopy(copying);
  expect(failure.code).toBe("SOURCE_BROKEN");
  expect(target.tags.has("v1")).toBe(false);
});

test("publishes nothing when the source cannot tell what refers to the image", async () => {
  const { source, target } = stores(signed);
  source.before(({ operation }) => {
    if (operation === "referrers") throw new Error("500");
  });
  const copying = copied(image.manifest.digest, source, target, { tag: "v1", referrers: true });
  expect((await failureOfCopy(copying)).message).toContain("500");
  expect(target.tags.has("v1")).toBe(false);
});

test("follows referrers of referrers eight deep, and counts what is deeper", async () => {
  const chain = Array.from({ length: 10 }).reduce<BuiltImage[]>(
    (made) => [...made, buildArtifact({ subject: made.at(-1) ?? image })],
    [],
  );
  const { source, target } = stores(image);
  for (const artifact of chain) source.seed(artifact);
  const options = { tag: "v1", referrers: true };
  const { summary } = await copied(image.manifest.digest, source, target, options);
  expect(summary).toMatchObject({ referrers: 8, notCarried: 1 });
});

test("carries each referrer once, also when two name each other", async () => {
  const index = buildIndexOf([{ image, platform: { os: "linux", architecture: "amd64" } }]);
  const shared = { ...signCosign(index), children: [withReferrers(image, sbom)] };
  const { source, target } = stores(shared);
  await copied(index.manifest.digest, source, target, { tag: "v1", referrers: true });
  expect(target.count("pushManifest", sbom.manifest.digest)).toBe(1);
  for (const digest of allBlobs(shared).keys()) expect(source.count("blob", digest)).toBeLessThan(2);
});

test("carries a referrer that the source lists twice once", async () => {
  const { source, target } = stores(withReferrers(image, sbom));
  const twice: ImageSource = {
    ...source,
    async *referrers(digest, options) {
      yield* source.referrers(digest, options);
      yield* source.referrers(digest, options);
    },
  };
  const options = { tag: "v1", referrers: true };
  const { summary } = await copied(image.manifest.digest, twice, target, options);
  expect(summary.referrers).toBe(1);
  expect(target.count("pushManifest", sbom.manifest.digest)).toBe(1);
});

test("leaves a signature behind that is an index without platforms where streams refuse it", async () => {
  const plain = buildIndexOf([{ image: buildArtifact() }]);
  const tag = cosignTag(image.manifest.digest);
  const { source } = stores({ ...image, referrers: [{ image: plain, tag }] });
  const target = memoryStore({ name: "target/repository", capabilities: OPENSHIFT });
  const options = { tag: "v1", referrers: true };
  const { summary } = await copied(image.manifest.digest, source, target, options);
  expect(summary).toMatchObject({ referrers: 0, notCarried: 1 });
  expect([...target.tags.keys()]).toEqual(["v1"]);
});

test("plans for the image at once, and for more when referrers were found", async () => {
  const { source, target } = stores(signed);
  const options = { tag: "v1", referrers: true };
  const { events } = await copied(image.manifest.digest, source, target, options);
  const plans = events.flatMap((event) => (event.kind === "planned" ? [event.manifests] : []));
  expect(plans).toEqual([1, 4]);
});

function stores(seeded: BuiltImage): { source: MemoryStore; target: MemoryStore } {
  const source = memoryStore({ name: "source/repository" });
  source.seed(seeded, "v1");
  return { source, target: memoryStore({ name: "target/repository" }) };
}

function raise(): never {
  throw new Error("the test's image is not what the test thinks");
}

test("refuses an image of more bytes than are allowed before a byte of it moves", async () => {
  const { source, target } = stores(signed);
  const copying = copied(image.manifest.digest, source, target, { tag: "v1", maxBytes: 1_000 });
  expect(await failureOfCopy(copying)).toMatchObject({ code: "IMAGE_TOO_LARGE" });
  expect(source.count("blob")).toBe(0);
  expect(target.calls).toEqual([]);
});
