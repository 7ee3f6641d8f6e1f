import { readFile, readdir, stat, writeFile } from "node:fs/promises";

import { describe, expect, test } from "vitest";

import { type Layout, openLayout } from "../../src/layout/layout.ts";
import { digestOf, encodedOf } from "../../src/oci/digest.ts";
import { MANIFEST_WRITE_MAX_BYTES } from "../../src/oci/manifest.ts";
import { seededBytes } from "../support/images/content.ts";
import {
  buildArtifact,
  buildImage,
  buildIndex,
  buildSbom,
  signCosign,
  withReferrers,
} from "../support/images/images.ts";
import { describing, parsed, pushBuilt, reusing } from "../support/port.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary.ts";

type Entry = {
  readonly digest: string;
  readonly artifactType?: string;
  readonly annotations?: Record<string, string>;
};

/** The entries of index.json after a run: names, or digests of entries without a name. */
async function listedAfter(
  directory: TemporaryDirectory,
  task: (layout: Layout) => Promise<unknown>,
): Promise<(string | undefined)[]> {
  {
    await using layout = await openLayout(directory.path, { create: true });
    await task(layout);
  }
  return (await entriesOf(directory)).map(
    ({ digest, annotations }) => annotations?.["org.opencontainers.image.ref.name"] ?? digest,
  );
}

async function entriesOf(directory: TemporaryDirectory): Promise<readonly Entry[]> {
  const text = await readFile(directory.join("index.json"), "utf8");
  return (JSON.parse(text) as { manifests: readonly Entry[] }).manifests;
}

describe("index.json lists", () => {
  test("an image once, and not the children of an index", async () => {
    await using directory = await temporaryDirectory();
    expect(
      await listedAfter(directory, (layout) => pushBuilt(layout, buildIndex({ layers: 1 }), "v1")),
    ).toEqual(["v1"]);
  });

  test("an image that nothing leads to by its digest, so that other tools find it", async () => {
    await using directory = await temporaryDirectory();
    const index = buildIndex({ layers: 1 });
    expect(await listedAfter(directory, (layout) => pushBuilt(layout, index))).toEqual([
      index.manifest.digest,
    ]);
    expect(await listedAfter(directory, (layout) => pushBuilt(layout, index, "v1"))).toEqual(["v1"]);
  });

  test("no child that was written again, when its index is there from before", async () => {
    await using directory = await temporaryDirectory();
    const index = buildIndex({ layers: 1 });
    const [child = buildImage()] = index.children;
    await listedAfter(directory, (layout) => pushBuilt(layout, index, "v1"));
    expect(await listedAfter(directory, (layout) => pushBuilt(layout, child))).toEqual(["v1"]);
  });

  test("children of an index that did not come, until it comes", async () => {
    await using directory = await temporaryDirectory();
    const index = buildIndex({ layers: 1 });
    const broken = listedAfter(directory, async (layout) => {
      for (const child of index.children) await pushBuilt(layout, child);
      await layout.pushManifest(parsed(buildImage({ seed: "incomplete" }).manifest));
    });
    await expect(broken).rejects.toMatchObject({ code: "TARGET_BLOB_UNKNOWN" });
    expect((await entriesOf(directory)).map(({ digest }) => digest)).toEqual(
      index.children.map(({ manifest }) => manifest.digest),
    );
    expect(await listedAfter(directory, (layout) => pushBuilt(layout, index, "v1"))).toEqual(["v1"]);
  });

  test("what refers to an image by its digest, with its type, and cosign's signature by its tag", async () => {
    await using directory = await temporaryDirectory();
    const image = buildImage();
    const sbom = buildSbom(image);
    const signed = signCosign(withReferrers(image, sbom));
    const listed = await listedAfter(directory, (layout) => pushBuilt(layout, signed, "v1"));
    expect(listed).toEqual(["v1", sbom.manifest.digest, signed.referrers[1]?.tag]);
    expect((await entriesOf(directory))[1]).toMatchObject({ artifactType: "application/spdx+json" });
  });
});

describe("referrers are found", () => {
  test("after the layout was opened anew, and by readers that were open before", async () => {
    await using directory = await temporaryDirectory();
    const image = buildImage();
    const sbom = buildSbom(image);
    await listedAfter(directory, (layout) => pushBuilt(layout, image, "v1"));
    await using reader = await openLayout(directory.path);
    const found = async (): Promise<(string | undefined)[]> =>
      (await Array.fromAsync(reader.referrers(image.manifest.digest))).map(
        ({ descriptor }) => descriptor.digest,
      );
    expect(await found()).toEqual([]);
    await listedAfter(directory, (layout) => pushBuilt(layout, sbom));
    expect(await found()).toEqual([sbom.manifest.digest]);
  });

  test("of a child of an index, and one that has a tag of its own", async () => {
    await using directory = await temporaryDirectory();
    const index = buildIndex({ layers: 1 });
    const [child = buildImage()] = index.children;
    const artifact = buildArtifact({ subject: child });
    await using layout = await openLayout(directory.path, { create: true });
    await pushBuilt(layout, index, "v1");
    await pushBuilt(layout, artifact, "named");
    const found = await Array.fromAsync(layout.referrers(child.manifest.digest));
    expect(found.map(({ descriptor }) => descriptor.digest)).toEqual([artifact.manifest.digest]);
  });

  test("although another image is broken; but not past a broken one that has no tag to tell of it", async () => {
    await using directory = await temporaryDirectory();
    const [image, broken] = [buildImage(), buildImage({ seed: "broken" })];
    const [sbom, other] = [buildSbom(image), buildArtifact({ subject: image })];
    await listedAfter(directory, async (layout) => {
      await pushBuilt(layout, broken, "broken");
      await pushBuilt(layout, withReferrers(image, sbom, other), "v1");
    });
    const damage = (digest: Entry["digest"]): Promise<void> =>
      writeFile(directory.join("blobs", "sha256", digest.slice("sha256:".length)), "{}");
    await damage(broken.manifest.digest);
    {
      await using layout = await openLayout(directory.path);
      const found = await Array.fromAsync(layout.referrers(image.manifest.digest));
      expect(found.map(({ descriptor }) => descriptor.digest)).toEqual([
        sbom.manifest.digest,
        other.manifest.digest,
      ]);
    }
    await damage(sbom.manifest.digest);
    await using layout = await openLayout(directory.path);
    await expect(Array.fromAsync(layout.referrers(image.manifest.digest))).rejects.toMatchObject({
      name: "TagferryError",
    });
  });
});

describe("a layout refuses", () => {
  test("a manifest of more than 4 MiB", async () => {
    await using directory = await temporaryDirectory();
    const image = buildImage({ layers: [], annotations: { long: "x".repeat(MANIFEST_WRITE_MAX_BYTES) } });
    await using layout = await openLayout(directory.path, { create: true });
    await expect(pushBuilt(layout, image, "v1")).rejects.toMatchObject({ code: "MANIFEST_TOO_LARGE" });
    expect(await layout.resolve("v1")).toBeUndefined();
  });

  test("a manifest that is not its digest", async () => {
    await using directory = await temporaryDirectory();
    const [image, other] = [buildImage(), buildImage({ seed: "other" })];
    await using layout = await openLayout(directory.path, { create: true });
    const wrong = { ...parsed(image.manifest), bytes: other.manifest.bytes, blobs: [] };
    await expect(layout.pushManifest(wrong, { tag: "v1" })).rejects.toMatchObject({
      code: "DIGEST_MISMATCH",
    });
    expect(await layout.resolve("v1")).toBeUndefined();
  });

  test.for(["", "../../etc/passwd", "a/b", ".hidden", "a b", "x".repeat(129)])("the tag %j", async (tag) => {
    await using directory = await temporaryDirectory();
    const image = buildImage({ layers: [] });
    await using layout = await openLayout(directory.path, { create: true });
    await pushBuilt(layout, image, "v1");
    await expect(layout.pushManifest(parsed(image.manifest), { tag })).rejects.toMatchObject({
      code: "CONFIG_TAG",
    });
    expect((await entriesOf(directory)).length).toBe(1);
  });

  test("to name the blobs that are missing no better than one by one", async () => {
    await using directory = await temporaryDirectory();
    const image = buildImage();
    await using layout = await openLayout(directory.path, { create: true });
    await expect(layout.pushManifest(parsed(image.manifest), { tag: "v1" })).rejects.toMatchObject({
      code: "TARGET_BLOB_UNKNOWN",
      details: { missing: [...image.blobs.keys()] },
    });
  });
});

test("a blob is written once, whoever pushes it at once", async () => {
  await using directory = await temporaryDirectory();
  const bytes = seededBytes("once", 300_000);
  let opened = 0;
  await using layout = await openLayout(directory.path, { create: true });
  const open = (): AsyncIterable<Uint8Array> => {
    opened += 1;
    return reusing(bytes);
  };
  const placed = await Promise.all([1, 2, 3].map(() => layout.pushBlob(describing(bytes), open)));
  expect(opened).toBe(1);
  expect(placed.map(({ how }) => how)).toEqual(["pushed", "present", "present"]);
});

test("a blob that failed for one is sent by the next who waited for it", async () => {
  await using directory = await temporaryDirectory();
  const bytes = seededBytes("next", 100_000);
  await using layout = await openLayout(directory.path, { create: true });
  const [failed, placed] = await Promise.allSettled([
    layout.pushBlob(describing(bytes), () => reusing(bytes.subarray(1))),
    layout.pushBlob(describing(bytes), () => reusing(bytes)),
  ]);
  expect(failed).toMatchObject({ status: "rejected", reason: { code: "BLOB_SHORT" } });
  expect(placed).toMatchObject({ status: "fulfilled", value: { how: "pushed" } });
});

test("a push ends with its signal also when the source hangs and does not listen", async () => {
  await using directory = await temporaryDirectory();
  const bytes = seededBytes("deaf", 100_000);
  await using layout = await openLayout(directory.path, { create: true });
  const stop = new AbortController();
  async function* deaf(): AsyncGenerator<Uint8Array, void, void> {
    yield* reusing(bytes.subarray(0, 50_000));
    stop.abort(new Error("enough"));
    await new Promise<never>(() => {});
  }
  await expect(layout.pushBlob(describing(bytes), deaf, { signal: stop.signal })).rejects.toThrow("enough");
  expect(await readdir(directory.join(".tagferry"))).toEqual(["lock"]);
  await expect(stat(directory.join("blobs", "sha256", encodedOf(digestOf(bytes))))).rejects.toThrow("ENOENT");
});
