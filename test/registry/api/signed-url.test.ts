import { expect, test } from "vitest";

import { buildImage, pushTo } from "../../support/images/images.ts";
import { registryClient } from "../../support/registry/client.ts";
import { reset } from "../../support/registry/connection-faults.ts";
import { startRegistry } from "../../support/registry/registry.ts";

test("D44 a signed address that expires amid a blob: asks the registry for another, and goes on", async () => {
  await using source = await startRegistry({ behaviour: { redirectBlobs: 307, signedUses: 1 } });
  await pushTo(source, "library/app", buildImage({ layers: [100_000] }), "1");
  await using client = registryClient(source.host);
  const repository = client.repository("library/app");
  const layer = (await repository.manifest("1")).blobs.at(-1);
  if (!layer) throw new Error("the image has no layer");
  source.on({ kind: "cdn" }, reset({ afterBytes: 50_000 }));
  const bytes = Buffer.concat(await Array.fromAsync(repository.blob(layer), (chunk) => Buffer.from(chunk)));
  expect(bytes.length).toBe(layer.size);
  const queries = source.ledger.find({ kind: "cdn" }).map(({ query }) => query);
  expect(new Set(queries).size).toBe(2);
});
