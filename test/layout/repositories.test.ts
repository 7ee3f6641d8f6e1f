import { expect, test } from "vitest";

import { openLayout } from "../../src/layout/layout.ts";
import type { ImageSource } from "../../src/oci/store.ts";
import { buildImage } from "../support/images/images.ts";
import { pushBuilt } from "../support/port.ts";
import { skopeo } from "../support/servers.ts";
import { temporaryDirectory } from "../support/temporary.ts";

async function tagsOf(source: ImageSource): Promise<string[]> {
  return (await Array.fromAsync(source.listing())).map(({ tag }) => tag);
}

test("a layout keeps one tag for each of its repositories, and a bare one, apart", async () => {
  await using directory = await temporaryDirectory();
  const [bare, nginx, other] = [1, 2, 3].map((number) => buildImage({ seed: `image ${number}` }));
  if (!bare || !nginx || !other) throw new Error("three images");
  await using layout = await openLayout(directory.join("layout"), { create: true });
  const [one, two] = [layout.repository("nginx"), layout.repository("quay.io/team/app")];
  await pushBuilt(layout, bare, "v1");
  await pushBuilt(one, nginx, "v1");
  await pushBuilt(two, other, "v1");
  await pushBuilt(two, other, "v2");
  expect(await Promise.all([layout, one, two].map(tagsOf))).toEqual([["v1"], ["v1"], ["v1", "v2"]]);
  const shown = await Promise.all([layout, one, two].map((view) => view.resolve("v1")));
  expect(shown.map((image) => image?.digest)).toEqual(
    [bare, nginx, other].map(({ manifest }) => manifest.digest),
  );
  expect(await one.resolve("v2")).toBeUndefined();
  expect(one.name).toBe(`${layout.name}:docker.io/library/nginx`);
});

test("blobs of one repository of a layout are there for the others", async () => {
  await using directory = await temporaryDirectory();
  const image = buildImage();
  await using layout = await openLayout(directory.join("layout"), { create: true });
  await pushBuilt(layout.repository("quay.io/a/b"), image, "v1");
  const other = layout.repository("quay.io/a/c");
  expect(other.blobStore).toBe(layout.blobStore);
  expect(await other.resolve(image.manifest.digest)).toMatchObject({ digest: image.manifest.digest });
});

test("skopeo reads a repository of a layout by the whole reference, and we read what skopeo wrote so", async () => {
  await using directory = await temporaryDirectory();
  const image = buildImage();
  const [ours, theirs] = [directory.join("ours"), directory.join("theirs")];
  {
    await using layout = await openLayout(ours, { create: true });
    await pushBuilt(layout.repository("docker.io/library/nginx"), image, "1.27");
  }
  const reference = "docker.io/library/nginx:1.27";
  const raw = await skopeo(["inspect", "--raw", `oci:${ours}:${reference}`]);
  expect(Buffer.compare(raw, image.manifest.bytes)).toBe(0);
  await skopeo(["copy", `oci:${ours}:${reference}`, `oci:${theirs}:${reference}`]);
  await using read = await openLayout(theirs);
  expect(await read.repository("nginx").resolve("1.27")).toMatchObject({ digest: image.manifest.digest });
  expect(await tagsOf(read)).toEqual([]);
});

test("a repository of a layout needs a name that registries take", async () => {
  await using directory = await temporaryDirectory();
  await using layout = await openLayout(directory.join("layout"), { create: true });
  expect(() => layout.repository("quay.io/a/b:v1")).toThrow(
    expect.objectContaining({ code: "CONFIG_REPOSITORY" }),
  );
});
