import { describe, expect, test } from "vitest";

import { asTagferryError, TagferryError } from "../../src/errors/error.ts";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import type { Content, ImageSource, ImageTarget } from "../../src/oci/store.ts";
import { seededBytes } from "./images/content.ts";
import {
  allBlobs,
  buildArtifact,
  buildImage,
  buildIndex,
  buildNestedIndex,
  buildSbom,
  buildSignature,
  cosignTag,
  signCosign,
  withReferrers,
} from "./images/images.ts";
import type { BuiltImage } from "./images/manifest.ts";
import { describing, OCTETS, parsed, pushBuilt, readAll, reusing } from "./port.ts";

/** An empty store with its two sides. What is written to the target is read from the source. */
export type OpenStore = AsyncDisposable & { readonly source: ImageSource; readonly target: ImageTarget };

/** What every ImageSource and ImageTarget must do, for any kind of store. */
export function storeContract(name: string, open: () => Promise<OpenStore>): void {
  describe(name, () => {
    blobContract(open);
    refusalContract(open);
    manifestContract(open);
    tagContract(open);
    referrerContract(open);
    abortContract(open);
  });
}

type Open = () => Promise<OpenStore>;

function blobContract(open: Open): void {
  test.for([0, 1, 1_000, 64 * 1024, 64 * 1024 + 1, 1_500_000])("keeps a blob of %i bytes", async (size) => {
    await using store = await open();
    const bytes = seededBytes(`blob ${size}`, size);
    const descriptor = describing(bytes);
    const placed = await store.target.pushBlob(descriptor, () => reusing(bytes));
    expect(placed).toEqual({ how: "pushed", bytes: size });
    expect(digestOf(await readAll(store.source.blob(descriptor)))).toBe(descriptor.digest);
  });

  test("takes a blob that is there as present, without opening it", async () => {
    await using store = await open();
    const bytes = seededBytes("twice", 5_000);
    await store.target.pushBlob(describing(bytes), () => reusing(bytes));
    const again = await store.target.pushBlob(describing(bytes), () => {
      throw new Error("opened");
    });
    expect(again).toEqual({ how: "present", bytes: 0 });
  });

  test("looks again at a blob it was told to forget", async () => {
    await using store = await open();
    const bytes = seededBytes("forgotten", 5_000);
    await store.target.pushBlob(describing(bytes), () => reusing(bytes));
    store.target.forget([digestOf(bytes)]);
    await store.target.pushBlob(describing(bytes), () => reusing(bytes));
    expect(digestOf(await readAll(store.source.blob(describing(bytes))))).toBe(digestOf(bytes));
  });

  test("tells every byte that goes out, once", async () => {
    await using store = await open();
    const bytes = seededBytes("counted", 300_000);
    let told = 0;
    await store.target.pushBlob(describing(bytes), () => reusing(bytes), {
      onBytes: (count) => {
        told += count;
      },
    });
    expect(told).toBe(bytes.length);
  });

  test("keeps one whole blob when several push it at once", async () => {
    await using store = await open();
    const bytes = seededBytes("at once", 400_000);
    const push = (): Promise<unknown> => store.target.pushBlob(describing(bytes), () => reusing(bytes));
    await Promise.all([push(), push(), push(), push()]);
    expect(digestOf(await readAll(store.source.blob(describing(bytes))))).toBe(digestOf(bytes));
  });

  test("lets a reader leave a blob before its end", async () => {
    await using store = await open();
    const bytes = seededBytes("left", 2_000_000);
    await store.target.pushBlob(describing(bytes), () => reusing(bytes));
    for await (const chunk of store.source.blob(describing(bytes))) {
      expect(Buffer.compare(chunk, bytes.subarray(0, chunk.length))).toBe(0);
      break;
    }
    expect((await readAll(store.source.blob(describing(bytes)))).length).toBe(bytes.length);
  });

  test.for([0, 1, 64 * 1024, 512 * 1024, 1_234_567, 1_999_999, 2_000_000])(
    "reads what follows the first %i bytes of a blob",
    async (fromBytes) => {
      await using store = await open();
      const bytes = seededBytes("followed", 2_000_000);
      await store.target.pushBlob(describing(bytes), () => reusing(bytes));
      const read = await readAll(store.source.blob(describing(bytes), { fromBytes }));
      expect(Buffer.compare(read, bytes.subarray(fromBytes))).toBe(0);
    },
  );

  test("knows nothing of a blob that was never pushed", async () => {
    await using store = await open();
    await pushBuilt(store.target, buildImage(), "there");
    const absent = describing(seededBytes("absent", 10));
    await expect(readAll(store.source.blob(absent))).rejects.toMatchObject({ code: "BLOB_UNKNOWN" });
  });
}

function refusalContract(open: Open): void {
  const right = seededBytes("right", 200_000);
  const flipped = Uint8Array.from(right);
  flipped[199_999] = (flipped[199_999] ?? 0) ^ 1;
  const refused: readonly (readonly [string, string, () => Content])[] = [
    ["wrong", "DIGEST_MISMATCH", () => reusing(flipped)],
    ["short", "BLOB_SHORT", () => reusing(right.subarray(0, 150_000))],
    ["long", "BLOB_LONG", () => reusing(Buffer.concat([right, right]))],
    ["empty", "BLOB_SHORT", () => reusing(new Uint8Array())],
    ["broken off", "STALLED", () => breaking(right.subarray(0, 150_000))],
  ];
  test.for(refused)("refuses content that is %s, and keeps nothing of it", async ([, code, content]) => {
    await using store = await open();
    await pushBuilt(store.target, buildImage(), "there");
    await expect(store.target.pushBlob(describing(right), content)).rejects.toMatchObject({ code });
    await expect(readAll(store.source.blob(describing(right)))).rejects.toMatchObject({
      code: "BLOB_UNKNOWN",
    });
    const placed = await store.target.pushBlob(describing(right), () => reusing(right));
    expect(placed.how).toBe("pushed");
    expect(digestOf(await readAll(store.source.blob(describing(right))))).toBe(digestOf(right));
  });

  test("refuses a manifest whose blobs are missing, and tags nothing", async () => {
    await using store = await open();
    await pushBuilt(store.target, buildImage(), "there");
    const image = buildImage({ seed: "incomplete" });
    const pushing = store.target.pushManifest(parsed(image.manifest), { tag: "incomplete" });
    await expect(pushing).rejects.toMatchObject({ code: "TARGET_BLOB_UNKNOWN" });
    expect(await store.source.resolve("incomplete")).toBeUndefined();
  });
}

function manifestContract(open: Open): void {
  const images: readonly (readonly [string, BuiltImage])[] = [
    ["an image", buildImage()],
    ["a Docker image", buildImage({ docker: true })],
    ["an image with odd white space", buildImage({ oddWhitespace: true, annotations: { note: "é\u2028/" } })],
    ["an image with unknown fields", buildImage({ extra: { "x-built-by": { deep: [1, 2.5, null] } } })],
    ["an image without layers", buildImage({ layers: [] })],
    ["an image with zstd layers", buildImage({ compression: "zstd" })],
    ["an artifact", buildArtifact()],
    ["an index of five platforms with attestations", buildIndex({ attestations: true, layers: 1 })],
    ["a Docker list", buildIndex({ docker: true, layers: 1 })],
    ["a nested index", buildNestedIndex()],
  ];
  test.for(images)("keeps %s byte by byte", async ([, image]) => {
    await using store = await open();
    await pushBuilt(store.target, image, "v1");
    const { bytes, mediaType, digest } = image.manifest;
    for (const side of [store.source, store.target]) {
      expect(await side.resolve("v1")).toMatchObject({ mediaType, digest });
      expect(await side.resolve(digest)).toMatchObject({ mediaType, digest });
      for (const reference of ["v1", digest]) {
        const manifest = await side.manifest(reference);
        expect(Buffer.compare(manifest.bytes, bytes)).toBe(0);
        expect(manifest.descriptor).toMatchObject({ mediaType, digest, size: bytes.length });
      }
    }
    for (const child of image.children)
      expect(
        Buffer.compare((await store.source.manifest(child.manifest.digest)).bytes, child.manifest.bytes),
      ).toBe(0);
    for (const [blob, content] of allBlobs(image)) {
      const descriptor = { mediaType: OCTETS, digest: blob, size: content.length };
      expect(Buffer.compare(await readAll(store.source.blob(descriptor)), content)).toBe(0);
    }
  });

  test("takes the same image twice as once", async () => {
    await using store = await open();
    const image = buildImage();
    await pushBuilt(store.target, image, "v1");
    await pushBuilt(store.target, image, "v1");
    expect(await store.source.resolve("v1")).toMatchObject({ digest: image.manifest.digest });
    expect(await tagsOf(store.source)).toEqual(["v1"]);
  });

  test("knows nothing of a tag or digest that was never pushed", async () => {
    await using store = await open();
    await pushBuilt(store.target, buildImage(), "there");
    const absent = digestOf(Buffer.from("absent"));
    for (const side of [store.source, store.target])
      for (const reference of ["absent", absent]) {
        expect(await side.resolve(reference)).toBeUndefined();
        await expect(side.manifest(reference)).rejects.toMatchObject({ code: "MANIFEST_UNKNOWN" });
      }
  });
}

function tagContract(open: Open): void {
  test("lists every tag once, and nothing that only a digest names", async () => {
    await using store = await open();
    const [image, other] = [buildImage(), buildImage({ seed: "other" })];
    const tags = Array.from({ length: 25 }, (_, position) => `v${position}`);
    for (const tag of tags) await pushBuilt(store.target, image, tag);
    await pushBuilt(store.target, other);
    expect((await tagsOf(store.source)).toSorted()).toEqual(tags.toSorted());
  });

  test("tells of a listed tag nothing but what it points at", async () => {
    await using store = await open();
    const image = buildImage();
    await pushBuilt(store.target, image, "v1");
    const [listed] = await Array.fromAsync(store.source.listing());
    expect([undefined, image.manifest.digest]).toContain(listed?.image?.digest);
  });

  test("keeps all tags that are written at once", async () => {
    await using store = await open();
    const image = buildImage();
    await pushBuilt(store.target, image);
    const tags = Array.from({ length: 20 }, (_, position) => `at-once-${position}`);
    await Promise.all(tags.map((tag) => store.target.pushManifest(parsed(image.manifest), { tag })));
    expect((await tagsOf(store.source)).toSorted()).toEqual(tags.toSorted());
  });

  test("moves a tag, and keeps what it pointed at by its digest", async () => {
    await using store = await open();
    const [before, after] = [buildImage({ seed: "before" }), buildImage({ seed: "after" })];
    await pushBuilt(store.target, before, "latest");
    await pushBuilt(store.target, after, "latest");
    expect(await store.source.resolve("latest")).toMatchObject({ digest: after.manifest.digest });
    expect(await store.source.resolve(before.manifest.digest)).toMatchObject({
      digest: before.manifest.digest,
    });
    expect(await tagsOf(store.source)).toEqual(["latest"]);
  });
}

function referrerContract(open: Open): void {
  test("finds what refers to an image, and what refers to that", async () => {
    await using store = await open();
    if (store.target.capabilities.referrers !== "all") return;
    const image = buildImage();
    const sbom = buildSbom(image);
    const signature = buildSignature(sbom);
    await pushBuilt(store.target, withReferrers(image, withReferrers(sbom, signature)), "v1");
    const [found, ...others] = await Array.fromAsync(store.source.referrers(image.manifest.digest));
    expect(found?.descriptor).toMatchObject({
      digest: sbom.manifest.digest,
      mediaType: sbom.manifest.mediaType,
      artifactType: "application/spdx+json",
    });
    expect(others).toEqual([]);
    expect(await referringTo(store.source, sbom.manifest.digest)).toEqual([signature.manifest.digest]);
    expect(await referringTo(store.source, signature.manifest.digest)).toEqual([]);
  });

  test("keeps several that refer to one image, also when they come at once", async () => {
    await using store = await open();
    if (store.target.capabilities.referrers !== "all") return;
    const image = buildImage();
    await pushBuilt(store.target, image, "v1");
    const referrers = ["a", "b", "c", "d"].map((type) =>
      buildArtifact({ artifactType: `application/vnd.example.${type}`, subject: image }),
    );
    await Promise.all(referrers.map((referrer) => pushBuilt(store.target, referrer)));
    const found = await referringTo(store.source, image.manifest.digest);
    expect(found.toSorted()).toEqual(referrers.map(({ manifest }) => manifest.digest).toSorted());
  });

  test("finds a cosign signature by its tag", async () => {
    await using store = await open();
    const image = signCosign(buildImage());
    await pushBuilt(store.target, image, "v1");
    const { digest } = image.manifest;
    const [signature] = image.referrers;
    const found = await Array.fromAsync(store.source.referrers(digest));
    expect(found.map(({ tag }) => tag)).toEqual([cosignTag(digest)]);
    expect(found[0]?.descriptor.digest).toBe(signature?.image.manifest.digest);
  });

  test("finds nothing where nothing refers to an image", async () => {
    await using store = await open();
    const image = buildIndex({ layers: 1 });
    await pushBuilt(store.target, image, "v1");
    expect(await referringTo(store.source, image.manifest.digest)).toEqual([]);
  });
}

function abortContract(open: Open): void {
  test("stops a push that is aborted, and keeps nothing of it", async () => {
    await using store = await open();
    await pushBuilt(store.target, buildImage(), "there");
    const bytes = seededBytes("aborted", 400_000);
    const stop = new AbortController();
    const pushing = store.target.pushBlob(describing(bytes), () => aborting(bytes, stop), {
      signal: stop.signal,
    });
    expect(await codeOf(pushing)).toBe("ABORTED");
    await expect(readAll(store.source.blob(describing(bytes)))).rejects.toMatchObject({
      code: "BLOB_UNKNOWN",
    });
    const placed = await store.target.pushBlob(describing(bytes), () => reusing(bytes));
    expect(placed.how).toBe("pushed");
  });

  test("does nothing for a signal that has aborted already", async () => {
    await using store = await open();
    const image = buildImage();
    await pushBuilt(store.target, image, "there");
    const bytes = seededBytes("too late", 100);
    const options = { signal: AbortSignal.abort() };
    const waits: readonly Promise<unknown>[] = [
      store.source.resolve("there", options),
      store.source.manifest("there", options),
      readAll(store.source.blob(describing([...image.blobs.values()][0] ?? bytes), options)),
      Array.fromAsync(store.source.listing(options)),
      Array.fromAsync(store.source.referrers(image.manifest.digest, options)),
      store.target.pushBlob(describing(bytes), () => reusing(bytes), options),
      store.target.pushManifest(parsed(image.manifest), { tag: "late", ...options }),
    ];
    expect(await Promise.all(waits.map(codeOf))).toEqual(waits.map(() => "ABORTED"));
    expect(await store.source.resolve("late")).toBeUndefined();
  });
}

async function* breaking(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield* reusing(bytes);
  throw new TagferryError("STALLED", "the source fell silent");
}

/** Yields half of the bytes. Then everything is aborted, and it ends like every source. */
async function* aborting(bytes: Uint8Array, stop: AbortController): AsyncGenerator<Uint8Array, void, void> {
  yield* reusing(bytes.subarray(0, bytes.length / 2));
  stop.abort();
  stop.signal.throwIfAborted();
}

async function tagsOf(source: ImageSource): Promise<string[]> {
  return (await Array.fromAsync(source.listing())).map(({ tag }) => tag);
}

async function referringTo(source: ImageSource, digest: Digest): Promise<Digest[]> {
  return (await Array.fromAsync(source.referrers(digest))).map(({ descriptor }) => descriptor.digest);
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "done",
    (error: unknown) => asTagferryError(error).code,
  );
}
