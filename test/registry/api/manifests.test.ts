import { describe, expect, test } from "vitest";

import { parseManifest } from "../../../src/oci/manifest.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";
import type { BuiltImage } from "../../support/images/manifest.ts";
import { registryClient } from "../../support/registry/client.ts";
import { normally, registryError, status } from "../../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../../support/registry/registry.ts";

const REPOSITORY = "library/app";
const EVERY_HEAD = { kind: "manifest", method: "HEAD", always: true } as const;
/** Nexus behind nginx: HEAD is always answered 404. */
const never = registryError(404, "MANIFEST_UNKNOWN");

const asked = ({ ledger }: TestRegistry): string[] =>
  ledger
    .find({ kind: "manifest" })
    .map(({ method, reference, status: answered }) => `${method} ${reference} ${answered}`);

async function withImage(tags: readonly string[] = ["1"]): Promise<TestRegistry & { image: BuiltImage }> {
  const registry = await startRegistry();
  const image = await pushTo(registry, REPOSITORY, buildImage({ seed: "heads", layers: 1 }), tags[0] ?? "1");
  for (const tag of tags) registry.tag(REPOSITORY, tag, image.manifest.digest);
  return Object.assign(registry, { image });
}

describe("a registry whose HEAD says 404 where its GET says 200", () => {
  test.for([404, 405, 501])("finds a tag although HEAD says %i, and asks HEAD no more", async (code) => {
    await using registry = await withImage(["1", "2"]);
    registry.on(EVERY_HEAD, status(code));
    await using client = registryClient(registry.host);
    const repository = client.repository(REPOSITORY);
    expect(await repository.resolve("1")).toMatchObject({ digest: registry.image.manifest.digest });
    expect(await repository.resolve("2")).toMatchObject({ digest: registry.image.manifest.digest });
    expect(await repository.resolve("3")).toBeUndefined();
    expect(asked(registry)).toEqual([`HEAD 1 ${code}`, "GET 1 200", "GET 2 200", "GET 3 404"]);
  });

  test("takes no HEAD's word for the second tag because the first was really absent", async () => {
    await using registry = await withImage();
    registry.on(EVERY_HEAD, never);
    await using client = registryClient(registry.host);
    const repository = client.repository(REPOSITORY);
    expect(await repository.resolve("absent")).toBeUndefined();
    expect(await repository.resolve("1")).toBeDefined();
  });

  test("knows it in every repository", async () => {
    await using registry = await withImage();
    registry.on(EVERY_HEAD, never);
    await using client = registryClient(registry.host);
    await client.repository(REPOSITORY).resolve("1");
    registry.ledger.clear();
    expect(await client.repository("another/app").resolve("1")).toBeUndefined();
    expect(asked(registry)).toEqual(["GET 1 404"]);
  });

  test("is written to: the tag is read back by GET, at once", async () => {
    await using registry = await withImage();
    registry.on(EVERY_HEAD, never);
    await using client = registryClient(registry.host);
    const { bytes, mediaType } = registry.image.manifest;
    const manifest = parseManifest(bytes, { contentType: mediaType, subject: "the test" });
    await client.repository(REPOSITORY).pushManifest(manifest, { tag: "new" });
    await client.repository(REPOSITORY).pushManifest(manifest, { tag: "newer" });
    expect(asked(registry)).toEqual([
      "PUT new 201",
      "HEAD new 404",
      "GET new 200",
      "PUT newer 201",
      "GET newer 200",
    ]);
  });

  test("fails a tag that neither HEAD nor GET show after it was written", async () => {
    await using registry = await withImage();
    registry.on(EVERY_HEAD, never);
    registry.on({ kind: "manifest", method: "GET", always: true }, never);
    await using client = registryClient(registry.host);
    const { bytes, mediaType } = registry.image.manifest;
    const manifest = parseManifest(bytes, { contentType: mediaType, subject: "the test" });
    await expect(client.repository(REPOSITORY).pushManifest(manifest, { tag: "new" })).rejects.toMatchObject({
      code: "TARGET_READBACK",
    });
  });
});

describe("a registry whose HEAD tells the truth", () => {
  test("answers for an absent tag with one HEAD, as soon as a HEAD has found anything", async () => {
    await using registry = await withImage();
    await using client = registryClient(registry.host);
    const repository = client.repository(REPOSITORY);
    expect(await repository.resolve("1")).toBeDefined();
    expect(await repository.resolve("2")).toBeUndefined();
    expect(await repository.resolve("3")).toBeUndefined();
    expect(asked(registry)).toEqual(["HEAD 1 200", "HEAD 2 404", "HEAD 3 404"]);
  });

  test("pays one GET for an absent tag as long as nothing was found, and none after it", async () => {
    await using registry = await withImage();
    await using client = registryClient(registry.host);
    const repository = client.repository(REPOSITORY);
    for (const tag of ["2", "1", "2", "3"]) await repository.resolve(tag);
    expect(asked(registry)).toEqual(["HEAD 2 404", "GET 2 404", "HEAD 1 200", "HEAD 2 404", "HEAD 3 404"]);
  });

  test.for(["harbor", "dockerhub", "quay", "openshift"] as const)(
    "is believed at the first 404 when it is known to be %s",
    async (kind) => {
      await using registry = await withImage();
      await using client = registryClient(registry.host, { kind });
      expect(await client.repository(REPOSITORY).resolve("2")).toBeUndefined();
      expect(asked(registry)).toEqual(["HEAD 2 404"]);
    },
  );

  test("is not given up for one HEAD that failed and was asked again", async () => {
    await using registry = await withImage();
    registry.on({ kind: "manifest", method: "HEAD" }, status(502), normally);
    await using client = registryClient(registry.host);
    expect(await client.repository(REPOSITORY).resolve("1")).toBeDefined();
    expect(asked(registry)).toEqual(["HEAD 1 502", "HEAD 1 200"]);
  });
});
