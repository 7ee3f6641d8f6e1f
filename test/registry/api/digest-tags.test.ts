import { describe, expect, test } from "vitest";

import type { Digest } from "../../../src/oci/digest.ts";
import { buildImage, cosignTag, pushTo, signCosign } from "../../support/images/images.ts";
import { registryClient } from "../../support/registry/client.ts";
import { normally, registryError } from "../../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../../support/registry/registry.ts";

const REPOSITORY = "library/app";
const digest = (fill: string): Digest => `sha256:${fill.repeat(64)}`;

test("asks once for the listing, however many look into it at the same time and after", async () => {
  await using registry = await startRegistry({ behaviour: { referrersApi: false } });
  await pushTo(registry, REPOSITORY, buildImage({ layers: 1 }), "1");
  await using client = registryClient(registry.host);
  const repository = client.repository(REPOSITORY);
  const look = (fill: string) => Array.fromAsync(repository.referrers(digest(fill)));
  await Promise.all(["a", "b", "c", "d"].map(look));
  await look("e");
  expect(registry.ledger.count({ kind: "tags" })).toBe(1);
});

test("reads the listing again for another occasion, and finds what was signed in between", async () => {
  await using registry = await startRegistry({ behaviour: { referrersApi: false } });
  const image = buildImage({ layers: 1 });
  await pushTo(registry, REPOSITORY, image, "1");
  await using client = registryClient(registry.host);
  const repository = client.repository(REPOSITORY);
  const of = image.manifest.digest;
  const tagsOn = async (occasion: string): Promise<(string | undefined)[]> =>
    (await Array.fromAsync(repository.referrers(of, { occasion }))).map(({ tag }) => tag);
  expect(await tagsOn("the first check")).toEqual([]);
  await pushTo(registry, REPOSITORY, signCosign(image), "1");
  expect(await tagsOn("the second check")).toEqual([cosignTag(of)]);
  await tagsOn("the second check");
  expect(registry.ledger.count({ kind: "tags" })).toBe(2);
});

test("forgets the listing when it writes a signature's tag itself", async () => {
  await using registry = await startRegistry({ behaviour: { referrersApi: false } });
  const built = await pushTo(registry, REPOSITORY, buildImage({ layers: 1 }), "1");
  await using client = registryClient(registry.host);
  const repository = client.repository(REPOSITORY);
  const of = built.manifest.digest;
  expect(await Array.fromAsync(repository.referrers(of))).toEqual([]);
  const tag = cosignTag(of);
  await repository.pushManifest(await repository.manifest("1"), { tag });
  expect((await Array.fromAsync(repository.referrers(of))).map((referrer) => referrer.tag)).toEqual([tag]);
});

test("asks for each tag where the listing has more than 5,000", async () => {
  await using registry = await startRegistry({ behaviour: { referrersApi: false } });
  const built = await pushTo(registry, REPOSITORY, buildImage({ layers: 1 }), "1");
  for (let count = 0; count <= 5_000; count += 1)
    registry.tag(REPOSITORY, `t${count}`, built.manifest.digest);
  await using client = registryClient(registry.host);
  const repository = client.repository(REPOSITORY);
  for (const fill of ["a", "b"]) await Array.fromAsync(repository.referrers(digest(fill)));
  expect(registry.ledger.count({ method: "HEAD", kind: "manifest" })).toBe(6);
  const first = registry.ledger.count({ kind: "tags" });
  await Array.fromAsync(repository.referrers(digest("c")));
  expect(registry.ledger.count({ kind: "tags" })).toBe(first);
});

/** An image with a signature, attestation and SBOM under cosign's tags. */
async function signed(): Promise<TestRegistry & { readonly of: Digest; readonly tags: readonly string[] }> {
  const registry = await startRegistry({ behaviour: { referrersApi: false } });
  const { manifest } = await pushTo(registry, REPOSITORY, buildImage({ layers: 1 }), "1");
  const tags = [".sig", ".att", ".sbom"].map((suffix) => cosignTag(manifest.digest).replace(".sig", suffix));
  for (const tag of tags) registry.tag(REPOSITORY, tag, manifest.digest);
  return Object.assign(registry, { of: manifest.digest, tags });
}

async function found(registry: TestRegistry & { readonly of: Digest }): Promise<unknown[]> {
  await using client = registryClient(registry.host);
  const repository = client.repository(REPOSITORY);
  expect(await repository.resolve("1")).toBeDefined(); // so this registry's HEAD is trusted
  return (await Array.fromAsync(repository.referrers(registry.of))).map(({ tag }) => tag);
}

describe("a tag of a signature that the listing names", () => {
  const never = registryError(404, "MANIFEST_UNKNOWN");

  test("is asked by GET when HEAD denies it, and not passed over", async () => {
    await using registry = await signed();
    for (const reference of registry.tags)
      registry.on({ kind: "manifest", method: "HEAD", reference }, never, normally);
    expect(await found(registry)).toEqual(registry.tags);
  });

  test("is asked again when HEAD and GET deny it once", async () => {
    await using registry = await signed();
    const [reference = ""] = registry.tags;
    registry.on({ kind: "manifest", method: "HEAD", reference }, never, normally);
    registry.on({ kind: "manifest", method: "GET", reference }, never, normally);
    expect(await found(registry)).toEqual(registry.tags);
  });

  test("fails the question when HEAD and GET go on denying it", async () => {
    await using registry = await signed();
    const [reference = ""] = registry.tags;
    registry.on({ kind: "manifest", reference, always: true }, never);
    await expect(found(registry)).rejects.toMatchObject({
      code: "REFERRERS_INVALID",
      message: expect.stringContaining(`the listing names ${reference}`),
    });
    expect(registry.ledger.count({ kind: "tags" })).toBe(3);
  });

  test("counts as deleted when the listing that is read again does not name it", async () => {
    await using registry = await signed();
    const [reference = "", ...others] = registry.tags;
    await using client = registryClient(registry.host);
    const repository = client.repository(REPOSITORY);
    await Array.fromAsync(repository.referrers(digest("a"))); // reads the listing
    registry.untag(REPOSITORY, reference);
    expect((await Array.fromAsync(repository.referrers(registry.of))).map(({ tag }) => tag)).toEqual(others);
  });

  test("fails the question too when it is the fallback tag of the referrers API", async () => {
    await using registry = await signed();
    const reference = cosignTag(registry.of).replace(".sig", "");
    registry.tag(REPOSITORY, reference, registry.of);
    registry.on({ kind: "manifest", reference, always: true }, never);
    await expect(found(registry)).rejects.toMatchObject({ code: "REFERRERS_INVALID" });
  });
});
