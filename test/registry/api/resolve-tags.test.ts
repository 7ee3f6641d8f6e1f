import { expect, test } from "vitest";

import { buildImage, pushTo } from "../../support/images/images.ts";
import { registryClient } from "../../support/registry/client.ts";
import { registryError, status } from "../../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../../support/registry/registry.ts";
import type { Fault } from "../../support/registry/rules.ts";

const REPOSITORY = "team/app";

async function filled(tags: readonly string[]): Promise<TestRegistry> {
  const registry = await startRegistry();
  for (const tag of tags) await pushTo(registry, REPOSITORY, buildImage({ seed: tag }), tag);
  registry.ledger.clear();
  return registry;
}

/** The tags that exist, and the requests that were sent. */
async function survey(
  registry: TestRegistry,
  tags: readonly string[],
): Promise<{ there: string[]; cost: object }> {
  await using client = registryClient(registry.host);
  const found = await client.repository(REPOSITORY).resolveTags(tags);
  for (const [tag, { digest }] of found) expect(digest).toBe(registry.digestOf(REPOSITORY, tag));
  const cost = Object.fromEntries(
    Object.entries(Object.groupBy(registry.ledger.entries, ({ method, kind }) => `${method} ${kind}`)).map(
      ([what, entries]) => [what, entries?.length],
    ),
  );
  return { there: [...found.keys()].toSorted(), cost };
}

test.for([
  ["all are there: one HEAD each", ["a", "b", "c", "d"], { "HEAD manifest": 4 }],
  ["the repository is not there: one HEAD and one listing", [], { "HEAD manifest": 1, "GET tags": 1 }],
  ["only others are there: one HEAD and one listing", ["x", "y"], { "HEAD manifest": 1, "GET tags": 1 }],
  ["some are there, not the first", ["b", "d"], { "HEAD manifest": 3, "GET tags": 1 }],
  ["the first is there, and some are not", ["a"], { "HEAD manifest": 4 }],
] as const)("%s", async ([, there, cost]) => {
  await using registry = await filled(there);
  const wanted = ["a", "b", "c", "d"];
  expect(await survey(registry, wanted)).toEqual({
    there: there.filter((tag) => wanted.includes(tag)),
    cost,
  });
});

test("a listing is not worth it for two tags", async () => {
  await using registry = await filled(["other"]);
  const { there, cost } = await survey(registry, ["a", "b"]);
  expect({ there, listings: "GET tags" in cost }).toEqual({ there: [], listings: false });
});

test.for([
  ["is denied", registryError(403, "DENIED")],
  ["is no listing", status(200, { body: "<html>" })],
] as const)("where the listing %s each tag is asked for", async ([, fault]: readonly [string, Fault]) => {
  await using registry = await filled(["b", "c"]);
  registry.on({ kind: "tags", always: true }, fault);
  expect((await survey(registry, ["a", "b", "c"])).there).toEqual(["b", "c"]);
});

test("a listing that names a tag that HEAD denies is believed: GET shows it", async () => {
  await using registry = await filled(["a", "b", "c"]);
  registry.on({ method: "HEAD", kind: "manifest", always: true }, status(404));
  expect((await survey(registry, ["a", "b", "c"])).there).toEqual(["a", "b", "c"]);
});

test("a very long listing is left", async () => {
  await using registry = await startRegistry({ behaviour: { maxPageSize: 100 } });
  const image = await pushTo(registry, REPOSITORY, buildImage({ seed: "many" }), "b");
  for (let count = 0; count < 1_000; count += 1)
    registry.tag(REPOSITORY, `old-${String(count).padStart(4, "0")}`, image.manifest.digest);
  registry.ledger.clear();
  const { there, cost } = await survey(registry, ["a", "b", "c"]);
  expect(there).toEqual(["b"]);
  expect(cost).toMatchObject({ "GET tags": 4 });
});

test("nothing is asked about no tags", async () => {
  await using registry = await filled([]);
  expect(await survey(registry, [])).toEqual({ there: [], cost: {} });
});
