import { expect, test } from "vitest";

import type { Digest } from "../../../src/oci/digest.ts";
import { buildImage, cosignTag, pushTo } from "../../support/images/images.ts";
import { registryClient } from "../../support/registry/client.ts";
import { startRegistry } from "../../support/registry/registry.ts";

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
