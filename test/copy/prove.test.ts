import { readdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { compareReferrers, proveImage } from "../../src/copy/prove.ts";
import type { Digest } from "../../src/oci/digest.ts";
import { openCopySetting } from "../support/copy-setting.ts";
import { copied } from "../support/copying.ts";
import {
  allBlobs,
  allManifests,
  buildImage,
  buildIndex,
  buildSbom,
  pushTo,
  signCosign,
  withReferrers,
} from "../support/images/images.ts";

const image = buildIndex({ layers: 2 });
const { digest } = image.manifest;
const child = image.children[1] ?? raise();
const [[lostBlob, lostBytes] = raise()] = child.blobs;

describe("an image whose tag is in place at a registry", () => {
  test("is proved by a GET of each manifest and a HEAD of each blob, and the source is not asked", async () => {
    await using setting = await openCopySetting();
    const { from, to, target } = setting;
    await pushTo(to, "mirror/app", image, "v1");
    const proof = await proveImage({ digest }, target);
    expect(proof.missing).toEqual([]);
    expect(from.ledger.count()).toBe(0);
    expect(to.ledger.count({ method: "GET", kind: "manifest" })).toBe(allManifests(image).length);
    expect(to.ledger.count({ method: "HEAD", kind: "blob" })).toBe(allBlobs(image).size);
    expect(to.ledger.count()).toBe(allManifests(image).length + allBlobs(image).size);
  });

  test("names a blob that is missing", async () => {
    await using setting = await openCopySetting();
    await pushTo(setting.to, "mirror/app", image, "v1");
    setting.to.deleteBlob("mirror/app", lostBlob);
    expect((await proveImage({ digest }, setting.target)).missing).toMatchObject([{ digest: lostBlob }]);
  });

  test("names a child that is missing", async () => {
    await using setting = await openCopySetting();
    await pushTo(setting.to, "mirror/app", image, "v1");
    setting.to.deleteManifest("mirror/app", child.manifest.digest);
    const { missing } = await proveImage({ digest }, setting.target);
    expect(missing.map((one) => one.digest)).toEqual([child.manifest.digest]);
  });

  test("names a blob that was cut off, and with `bytes` one that was altered", async () => {
    await using setting = await openCopySetting();
    const { to, target } = setting;
    await pushTo(to, "mirror/app", image, "v1");
    to.store.blobs.set(lostBlob, lostBytes.subarray(1));
    expect((await proveImage({ digest }, target)).missing).toHaveLength(1);
    const altered = Uint8Array.from(lostBytes);
    altered[0] = (altered[0] ?? 0) ^ 1;
    to.store.blobs.set(lostBlob, altered);
    expect((await proveImage({ digest }, target)).missing).toHaveLength(0);
    expect((await proveImage({ digest }, target, { bytes: true })).missing).toHaveLength(1);
  });

  test("does not call platforms missing that were not chosen", async () => {
    await using setting = await openCopySetting();
    const { from, source, layout } = setting;
    await pushTo(from, "team/app", image, "v1");
    const platforms = [{ os: "linux", architecture: "amd64" }];
    await copied(digest, source, layout, { tag: "v1", platforms });
    expect((await proveImage({ digest }, layout, { platforms })).missing).toEqual([]);
    expect((await proveImage({ digest }, layout)).missing.length).toBeGreaterThan(0);
  });

  test("is healed by a copy that sends what is missing and writes no tag", async () => {
    await using setting = await openCopySetting();
    const { from, to, source, target } = setting;
    await pushTo(from, "team/app", image, "v1");
    await pushTo(to, "mirror/app", image, "v1");
    await copied(digest, source, target, { tag: "v1" });
    const altered = Uint8Array.from(lostBytes);
    altered[0] = (altered[0] ?? 0) ^ 1;
    to.store.blobs.set(lostBlob, altered);
    const grandchild = image.children[2] ?? raise();
    to.deleteManifest("mirror/app", grandchild.manifest.digest);
    for (const one of grandchild.blobs.keys()) to.deleteBlob("mirror/app", one);
    const { missing } = await proveImage({ digest }, target, { bytes: true });
    expect(new Set(missing.map((one) => one.digest))).toEqual(
      new Set([lostBlob, grandchild.manifest.digest]),
    );
    to.ledger.clear();
    await copied(digest, source, target, { again: new Set(missing.map((one) => one.digest)) });
    expect((await proveImage({ digest }, target, { bytes: true })).missing).toEqual([]);
    expect(to.missing("mirror/app", digest)).toEqual([]);
    expect(to.ledger.count({ method: "PUT", kind: "manifest", reference: "v1" })).toBe(0);
  });
});

test("an image in a layout is proved by the sizes of its files, and with `bytes` by their content", async () => {
  await using setting = await openCopySetting();
  const { from, source, layout, directory } = setting;
  await pushTo(from, "team/app", image, "v1");
  await copied(digest, source, layout, { tag: "v1" });
  expect((await proveImage({ digest }, layout, { bytes: true })).missing).toEqual([]);
  const blobs = join(directory, "blobs", "sha256");
  expect(await readdir(blobs)).toContain(lostBlob.slice(7));
  await writeFile(join(blobs, lostBlob.slice(7)), Buffer.alloc(lostBytes.length));
  expect((await proveImage({ digest }, layout)).missing).toEqual([]);
  expect((await proveImage({ digest }, layout, { bytes: true })).missing).toHaveLength(1);
  await truncate(join(blobs, lostBlob.slice(7)), 1);
  const { missing } = await proveImage({ digest }, layout);
  expect(missing.map((one) => one.digest)).toEqual([lostBlob]);
  await copied(digest, source, layout, { again: digestsOf(missing) });
  expect((await proveImage({ digest }, layout, { bytes: true })).missing).toEqual([]);
});

test.for([
  ["with a referrers API", {}],
  ["without a referrers API", { referrersApi: false }],
] as const)("finds what was signed after the copy, at registries %s", async ([, behaviour]) => {
  await using setting = await openCopySetting({ from: behaviour, to: behaviour });
  const { from, to, source, target } = setting;
  const plain = buildImage({ layers: 1 });
  const subject = plain.manifest.digest;
  await pushTo(from, "team/app", plain, "v1");
  await copied(subject, source, target, { tag: "v1", referrers: true });
  expect((await compareReferrers([subject], source, target)).late).toEqual([]);
  const signed = signCosign(withReferrers(plain, buildSbom(plain)));
  await pushTo(from, "team/app", signed, "v1", { fallbackTags: "referrersApi" in behaviour });
  const [fresh, at] = [
    setting.client(from).repository("team/app"),
    setting.client(to).repository("mirror/app"),
  ];
  expect((await compareReferrers([subject], fresh, at)).late).toHaveLength(2);
  await copied(subject, fresh, at, { tag: "v1", referrers: true });
  expect((await compareReferrers([subject], fresh, at)).late).toEqual([]);
});

test("finds the signature of an SBOM that is in place", async () => {
  await using setting = await openCopySetting();
  const { from, source, target } = setting;
  const plain = buildImage({ layers: 1 });
  const sbom = buildSbom(plain);
  await pushTo(from, "team/app", withReferrers(plain, sbom), "v1");
  const subject = plain.manifest.digest;
  await copied(subject, source, target, { tag: "v1", referrers: true });
  expect(await compareReferrers([subject], source, target)).toMatchObject({ late: [], listed: [{}] });
  const signature = buildSbom(sbom);
  await pushTo(from, "team/app", withReferrers(sbom, signature), "sbom");
  const { late } = await compareReferrers([subject], setting.client(from).repository("team/app"), target);
  expect(late).toMatchObject([{ descriptor: { digest: signature.manifest.digest } }]);
});

function digestsOf(descriptors: readonly { readonly digest: Digest }[]): ReadonlySet<Digest> {
  return new Set(descriptors.map((one) => one.digest));
}

function raise(): never {
  throw new Error("the test's image is not what the test thinks");
}
