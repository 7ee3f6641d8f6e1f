import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";

import { describe, expect, test } from "vitest";

import { type Layout, openLayout } from "../../src/layout/layout.ts";
import { digestOf, encodedOf } from "../../src/oci/digest.ts";
import { buildEmptyLayer, seededBytes } from "../support/images/content.ts";
import {
  allManifests,
  buildArtifact,
  buildImage,
  buildIndex,
  buildNestedIndex,
} from "../support/images/images.ts";
import { describing, parsed, pushBuilt, readAll, reusing } from "../support/port.ts";
import { skopeo } from "../support/servers.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary.ts";

const LAYOUT = '{"imageLayoutVersion":"1.0.0"}';

type Index = {
  manifests: { digest: string; annotations?: Record<string, string> }[];
  [field: string]: unknown;
};

async function readIndex(directory: TemporaryDirectory): Promise<Index> {
  return JSON.parse(await readFile(directory.join("index.json"), "utf8")) as Index;
}

async function writeLayout(directory: TemporaryDirectory, index: unknown, version = LAYOUT): Promise<void> {
  await mkdir(directory.join("blobs", "sha256"), { recursive: true });
  await writeFile(directory.join("oci-layout"), version);
  await writeFile(directory.join("index.json"), typeof index === "string" ? index : JSON.stringify(index));
}

function blobPath(directory: TemporaryDirectory, bytes: Uint8Array): string {
  return directory.join("blobs", "sha256", encodedOf(digestOf(bytes)));
}

/** Opens the layout, runs the task and closes it, like one run of the program. */
async function inLayout<T>(directory: TemporaryDirectory, task: (layout: Layout) => Promise<T>): Promise<T> {
  await using layout = await openLayout(directory.path, { create: true });
  return await task(layout);
}

describe("openLayout", () => {
  test("writes nothing before the first push, and leaves a plain layout behind", async () => {
    await using directory = await temporaryDirectory();
    const path = directory.join("new", "deeper");
    const layout = await openLayout(path, { create: true });
    expect(await Array.fromAsync(layout.listing())).toEqual([]);
    expect(await layout.resolve("v1")).toBeUndefined();
    expect(await readdir(directory.path)).toEqual([]);
    await pushBuilt(layout, buildImage(), "v1");
    await layout[Symbol.asyncDispose]();
    expect((await readdir(path)).toSorted()).toEqual(["blobs", "index.json", "oci-layout"]);
    expect(await readFile(`${path}/oci-layout`, "utf8")).toBe(LAYOUT);
  });

  test("is a layout from the first blob on, also without a tag", async () => {
    await using directory = await temporaryDirectory();
    const bytes = seededBytes("first", 10);
    await inLayout(directory, (layout) => layout.pushBlob(describing(bytes), () => reusing(bytes)));
    expect(await readIndex(directory)).toMatchObject({ schemaVersion: 2, manifests: [] });
  });

  test("refuses a directory that is not there, a file, and a directory of something else", async () => {
    await using directory = await temporaryDirectory();
    const absent = directory.join("absent");
    const file = directory.join("file");
    await writeFile(file, "x");
    await expect(openLayout(absent)).rejects.toMatchObject({ code: "LAYOUT_INVALID" });
    await expect(openLayout(file)).rejects.toMatchObject({ code: "LAYOUT_INVALID" });
    await expect(openLayout(file, { create: true })).rejects.toMatchObject({ code: "OUTPUT_PATH" });
    await expect(openLayout(directory.path)).rejects.toMatchObject({ code: "LAYOUT_INVALID" });
    await expect(openLayout(directory.path, { create: true })).rejects.toMatchObject({ code: "OUTPUT_PATH" });
    expect(await readdir(directory.path)).toEqual(["file"]);
  });

  test("says how to convert what docker save wrote", async () => {
    await using directory = await temporaryDirectory();
    await writeFile(directory.join("manifest.json"), "[]");
    await expect(openLayout(directory.path)).rejects.toMatchObject({
      code: "LAYOUT_INVALID",
      details: { next: expect.stringContaining("docker-archive") },
    });
  });

  test.for([
    "",
    "{",
    "[]",
    "null",
    "{}",
    '{"imageLayoutVersion":"2.0.0"}',
    '{"imageLayoutVersion":1}',
    `{"a":"${"x".repeat(5_000)}"}`,
  ])("refuses oci-layout %j", async (text) => {
    await using directory = await temporaryDirectory();
    await writeLayout(directory, { schemaVersion: 2, manifests: [] }, text);
    await expect(openLayout(directory.path)).rejects.toMatchObject({ code: "LAYOUT_INVALID" });
  });

  const entry = {
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: digestOf(Buffer.of(1)),
    size: 1,
  };
  test.for([
    ["nothing", ""],
    ["no JSON", "{"],
    ["HTML", "<html></html>"],
    ["a list", "[]"],
    ["no manifests", { schemaVersion: 2 }],
    ["no list of manifests", { schemaVersion: 2, manifests: {} }],
    ["another schema", { schemaVersion: 1, manifests: [] }],
    ["a key twice", '{"schemaVersion":2,"manifests":[],"manifests":[]}'],
    ["a byte order mark", '\uFEFF{"schemaVersion":2,"manifests":[]}'],
    ["an entry that is none", { schemaVersion: 2, manifests: [null] }],
    ["an entry without media type", { schemaVersion: 2, manifests: [{ ...entry, mediaType: "" }] }],
    [
      "a digest that leads elsewhere",
      { schemaVersion: 2, manifests: [{ ...entry, digest: "sha256:../../../etc/passwd" }] },
    ],
    ["a short digest", { schemaVersion: 2, manifests: [{ ...entry, digest: "sha256:abc" }] }],
    ["a negative size", { schemaVersion: 2, manifests: [{ ...entry, size: -1 }] }],
    [
      "a size that rounds",
      `{"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"${entry.digest}","size":9007199254740993}]}`,
    ],
  ] as const)("refuses an index.json with %s, and says where", async ([, index]) => {
    await using directory = await temporaryDirectory();
    await writeLayout(directory, index);
    for (const create of [false, true])
      await expect(openLayout(directory.path, { create })).rejects.toMatchObject({
        code: "LAYOUT_INVALID",
        message: expect.stringContaining("index.json"),
      });
  });

  test("refuses a layout without index.json, unless it may make one", async () => {
    await using directory = await temporaryDirectory();
    await writeFile(directory.join("oci-layout"), LAYOUT);
    await expect(openLayout(directory.path)).rejects.toMatchObject({ code: "LAYOUT_INVALID" });
    await inLayout(directory, (layout) => pushBuilt(layout, buildImage(), "v1"));
    expect((await readIndex(directory)).manifests).toHaveLength(1);
  });
});

describe("a layout that others wrote", () => {
  test("keeps their entries, annotations, fields and files as they are", async () => {
    await using directory = await temporaryDirectory();
    const foreign = {
      mediaType: "application/vnd.example.unknown+json",
      digest: digestOf(Buffer.from("theirs")),
      size: 6,
      platform: { os: "linux", architecture: "amd64", "os.features": ["x"] },
      annotations: {
        "io.containerd.image.name": "docker.io/library/a:1",
        "org.opencontainers.image.ref.name": "theirs",
      },
      "x-unknown": { deep: [1, 2.5, null, "é"] },
    };
    const before = {
      "x-first": true,
      manifests: [foreign],
      schemaVersion: 2,
      annotations: { "org.example": "kept" },
      "x-last": [0.5],
    };
    await writeLayout(directory, before);
    await writeFile(directory.join("README"), "kept");
    await inLayout(directory, (layout) => pushBuilt(layout, buildImage(), "ours"));
    const { manifests, ...fields } = await readIndex(directory);
    expect(manifests[0]).toEqual(foreign);
    expect(manifests).toHaveLength(2);
    expect({ ...fields, manifests: [foreign] }).toEqual(before);
    expect(await readFile(directory.join("README"), "utf8")).toBe("kept");
  });

  test("refuses a tag that names two images, and is mended by writing it", async () => {
    await using directory = await temporaryDirectory();
    const [one, other] = [buildImage({ seed: "one" }), buildImage({ seed: "other" })];
    await inLayout(directory, async (layout) => {
      await pushBuilt(layout, one, "a");
      await pushBuilt(layout, other, "b");
    });
    const text = await readFile(directory.join("index.json"), "utf8");
    await writeFile(
      directory.join("index.json"),
      text.replaceAll('"ref.name":"b"', "").replace(':"b"', ':"a"'),
    );
    await inLayout(directory, async (layout) => {
      await expect(layout.resolve("a")).rejects.toMatchObject({ code: "LAYOUT_INVALID" });
      await expect(layout.manifest("a")).rejects.toMatchObject({ code: "LAYOUT_INVALID" });
      expect(await Array.fromAsync(layout.listing())).toEqual([{ tag: "a" }]);
      await pushBuilt(layout, other, "a");
      expect(await layout.resolve("a")).toMatchObject({ digest: other.manifest.digest });
    });
    expect((await readIndex(directory)).manifests.map(({ digest }) => digest)).toEqual([
      other.manifest.digest,
    ]);
  });

  test("lists no names that are whole references, and finds their images by digest", async () => {
    await using directory = await temporaryDirectory();
    const image = buildImage();
    await inLayout(directory, (layout) => pushBuilt(layout, image, "v1"));
    const text = await readFile(directory.join("index.json"), "utf8");
    await writeFile(directory.join("index.json"), text.replace('"v1"', '"docker.io/library/nginx:1.27"'));
    await using layout = await openLayout(directory.path);
    expect(await Array.fromAsync(layout.listing())).toEqual([]);
    expect((await layout.manifest(image.manifest.digest)).descriptor.digest).toBe(image.manifest.digest);
  });

  test("sees what another writer adds while it is open", async () => {
    await using directory = await temporaryDirectory();
    await inLayout(directory, (layout) => pushBuilt(layout, buildImage(), "v1"));
    await using reader = await openLayout(directory.path);
    expect(await reader.resolve("v2")).toBeUndefined();
    await inLayout(directory, (layout) => pushBuilt(layout, buildImage(), "v2"));
    expect(await reader.resolve("v2")).toBeDefined();
  });

  test.for(["blob", "algorithm", "blobs", "index.json"] as const)(
    "does not follow a link out of it: %s",
    async (what) => {
      await using directory = await temporaryDirectory();
      await using outside = await temporaryDirectory();
      const image = buildImage();
      await inLayout(directory, (layout) => pushBuilt(layout, image, "v1"));
      const [config] = [...image.blobs.values()];
      const path = {
        blob: blobPath(directory, config ?? new Uint8Array()),
        algorithm: directory.join("blobs", "sha256"),
        blobs: directory.join("blobs"),
        "index.json": directory.join("index.json"),
      }[what];
      await rename(path, outside.join("there"));
      await symlink(outside.join("there"), path);
      const reading = (async () => {
        await using layout = await openLayout(directory.path);
        await readAll(layout.blob(describing(config ?? new Uint8Array())));
      })();
      await expect(reading).rejects.toMatchObject({ code: "LAYOUT_INVALID" });
    },
  );

  test("follows no link that stays inside either, but one to the layout itself", async () => {
    await using directory = await temporaryDirectory();
    await using elsewhere = await temporaryDirectory();
    const image = buildImage();
    await inLayout(directory, (layout) => pushBuilt(layout, image, "v1"));
    const [config = new Uint8Array()] = [...image.blobs.values()];
    await symlink(directory.path, elsewhere.join("link"));
    await using layout = await openLayout(elsewhere.join("link"));
    expect(digestOf(await readAll(layout.blob(describing(config))))).toBe(digestOf(config));
    await rename(blobPath(directory, config), directory.join("moved"));
    await symlink("../../moved", blobPath(directory, config));
    await expect(readAll(layout.blob(describing(config)))).rejects.toMatchObject({ code: "LAYOUT_INVALID" });
  });

  test.for([
    ["its workspace", ".tagferry"],
    ["its lock", ".tagferry/lock"],
    ["its blobs", "blobs"],
  ] as const)("never writes nor removes anything behind a link in place of %s", async ([, name]) => {
    await using directory = await temporaryDirectory();
    await using outside = await temporaryDirectory();
    await writeLayout(directory, { schemaVersion: 2, manifests: [] });
    await writeFile(outside.join("tmp-precious"), "precious");
    await mkdir(directory.join(".tagferry"));
    await rm(directory.join(name), { recursive: true, force: true });
    await symlink(outside.path, directory.join(name));
    const bytes = seededBytes("out", 10);
    await inLayout(directory, async (layout) => {
      const pushing = layout.pushBlob(describing(bytes), () => reusing(bytes));
      await expect(pushing).rejects.toMatchObject({ code: "LAYOUT_INVALID" });
    });
    expect(await readdir(outside.path)).toEqual(["tmp-precious"]);
  });

  test("never writes through a link that leads out of it", async () => {
    await using directory = await temporaryDirectory();
    await using outside = await temporaryDirectory();
    await writeLayout(directory, { schemaVersion: 2, manifests: [] });
    await rm(directory.join("blobs", "sha256"), { recursive: true });
    await symlink(outside.path, directory.join("blobs", "sha256"));
    const bytes = seededBytes("out", 10);
    await inLayout(directory, async (layout) => {
      const pushing = layout.pushBlob(describing(bytes), () => reusing(bytes));
      await expect(pushing).rejects.toMatchObject({ code: "LAYOUT_INVALID" });
    });
    expect(await readdir(outside.path)).toEqual([]);
  });

  test("does not wait for a pipe in place of a blob", async () => {
    await using directory = await temporaryDirectory();
    await writeLayout(directory, { schemaVersion: 2, manifests: [] });
    const bytes = seededBytes("pipe", 10);
    execFileSync("mkfifo", [blobPath(directory, bytes)]);
    await using layout = await openLayout(directory.path);
    await expect(readAll(layout.blob(describing(bytes)))).rejects.toMatchObject({ code: "LAYOUT_INVALID" });
  });
});

describe("a layout with missing or altered content", () => {
  test("shows a tag whose manifest is gone as absent, and takes it again", async () => {
    await using directory = await temporaryDirectory();
    const image = buildImage();
    await inLayout(directory, (layout) => pushBuilt(layout, image, "v1"));
    await rm(blobPath(directory, image.manifest.bytes));
    await inLayout(directory, async (layout) => {
      expect(await layout.resolve("v1")).toBeUndefined();
      expect(await layout.resolve(image.manifest.digest)).toBeUndefined();
      await expect(layout.manifest("v1")).rejects.toMatchObject({ code: "MANIFEST_UNKNOWN" });
      await pushBuilt(layout, image, "v1");
      expect(await layout.resolve("v1")).toMatchObject({ digest: image.manifest.digest });
    });
  });

  test("refuses a manifest that was altered, and is mended by writing it", async () => {
    await using directory = await temporaryDirectory();
    const image = buildImage();
    await inLayout(directory, (layout) => pushBuilt(layout, image, "v1"));
    const altered = Buffer.from(image.manifest.bytes);
    altered.write(" ", altered.length - 1);
    altered.write("}", altered.length - 2);
    await writeFile(blobPath(directory, image.manifest.bytes), altered);
    await inLayout(directory, async (layout) => {
      await expect(layout.manifest("v1")).rejects.toMatchObject({ name: "TagferryError" });
      await pushBuilt(layout, image, "v1");
      expect((await layout.manifest("v1")).bytes).toEqual(Buffer.from(image.manifest.bytes));
    });
  });

  test.for([
    ["cut off", (bytes: Buffer) => bytes.subarray(1), false],
    ["altered, once it is told to look again", (bytes: Buffer) => Buffer.from(bytes).fill(0, 0, 1), true],
  ] as const)("sends a blob again that was %s", async ([, damage, forget]) => {
    await using directory = await temporaryDirectory();
    const bytes = seededBytes("damaged", 100_000);
    const descriptor = describing(bytes);
    await inLayout(directory, (layout) => layout.pushBlob(descriptor, () => reusing(bytes)));
    await writeFile(blobPath(directory, bytes), damage(Buffer.from(bytes)));
    await inLayout(directory, async (layout) => {
      if (forget) layout.forget([descriptor.digest]);
      expect(await layout.pushBlob(descriptor, () => reusing(bytes))).toMatchObject({ how: "pushed" });
      expect(digestOf(await readAll(layout.blob(descriptor)))).toBe(descriptor.digest);
      expect(await layout.pushBlob(descriptor, () => reusing(bytes))).toMatchObject({ how: "present" });
    });
  });

  test("takes an index whose children are not there", async () => {
    await using directory = await temporaryDirectory();
    const index = buildIndex({ layers: 1 });
    await inLayout(directory, async (layout) => {
      await layout.pushManifest(parsed(index.manifest), { tag: "sparse" });
      expect(await layout.resolve("sparse")).toMatchObject({ digest: index.manifest.digest });
      const [child] = index.children;
      await expect(layout.manifest(child?.manifest.digest ?? "")).rejects.toMatchObject({
        code: "MANIFEST_UNKNOWN",
      });
    });
  });

  test("takes no layer for a manifest", async () => {
    await using directory = await temporaryDirectory();
    const image = buildImage({ layers: [10, 9_000_000] });
    await inLayout(directory, async (layout) => {
      await pushBuilt(layout, image, "v1");
      for (const digest of image.blobs.keys()) expect(await layout.resolve(digest)).toBeUndefined();
    });
  });
});

test("keeps what registries refuse: withdrawn artifacts, sha512, foreign layers, layers without a byte", async () => {
  await using directory = await temporaryDirectory();
  const images = [
    buildArtifact({ withdrawn: true }),
    buildImage({ foreign: true }),
    buildImage({ seed: "empty", layers: [buildEmptyLayer()] }),
  ];
  const bytes = seededBytes("sha512", 70_000);
  const descriptor = { mediaType: "a/b", digest: digestOf(bytes, "sha512"), size: bytes.length };
  await inLayout(directory, async (layout) => {
    for (const [position, image] of images.entries()) {
      await pushBuilt(layout, image, `v${position}`);
      expect((await layout.manifest(`v${position}`)).bytes).toEqual(Buffer.from(image.manifest.bytes));
    }
    await layout.pushBlob(descriptor, () => reusing(bytes));
    expect(digestOf(await readAll(layout.blob(descriptor)), "sha512")).toBe(descriptor.digest);
  });
});

describe("skopeo", () => {
  test("reads what we write, byte by byte", async () => {
    await using directory = await temporaryDirectory();
    // not a Docker manifest: skopeo 1.9 finds only OCI media types in a layout
    const images = { image: buildImage({ oddWhitespace: true }), index: buildIndex({ layers: 1 }) };
    const layout = directory.join("layout");
    {
      await using open = await openLayout(layout, { create: true });
      for (const [tag, image] of Object.entries(images)) await pushBuilt(open, image, tag);
    }
    for (const [tag, image] of Object.entries(images)) {
      const raw = await skopeo(["inspect", "--raw", `oci:${layout}:${tag}`]);
      expect(Buffer.compare(raw, image.manifest.bytes)).toBe(0);
      const copy = directory.join(`copy-${tag}`);
      await skopeo(["copy", "--all", "--preserve-digests", `oci:${layout}:${tag}`, `dir:${copy}`]);
      for (const digest of image.blobs.keys()) expect(await readdir(copy)).toContain(encodedOf(digest));
    }
  });

  test("writes what we read, and we write on", async () => {
    await using directory = await temporaryDirectory();
    const [nested, image] = [buildNestedIndex(), buildImage()];
    const [ours, theirs] = [directory.join("ours"), directory.join("theirs")];
    {
      await using open = await openLayout(ours, { create: true });
      await pushBuilt(open, image, "v1");
    }
    await skopeo(["copy", `oci:${ours}:v1`, `oci:${theirs}:v1`]);
    {
      await using open = await openLayout(theirs);
      expect(await open.resolve("v1")).toMatchObject({ digest: image.manifest.digest });
      await pushBuilt(open, nested, "v2");
      expect((await Array.fromAsync(open.listing())).map(({ tag }) => tag)).toEqual(["v1", "v2"]);
    }
    expect(
      Buffer.compare(await skopeo(["inspect", "--raw", `oci:${theirs}:v2`]), nested.manifest.bytes),
    ).toBe(0);
    const kept = await readdir(`${theirs}/blobs/sha256`);
    for (const { digest } of allManifests(nested)) expect(kept).toContain(encodedOf(digest));
  });
});
