import { expect, test } from "vitest";

import { copied } from "../support/copying.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import { loggedIn, registryClient } from "../support/registry/client.ts";
import { startRegistry } from "../support/registry/registry.ts";

const USER = { username: "ferry", password: "secret" };

test("the first request for a mount has the right to pull from the other repository", async () => {
  await using registry = await startRegistry({ auth: { kind: "bearer", ...USER } });
  const image = buildImage({ layers: 4 });
  await pushTo(registry, "one/app", image, "v1");
  await using client = registryClient(registry.host, { credentials: loggedIn(USER.username, USER.password) });
  const { summary } = await copied(
    image.manifest.digest,
    client.repository("one/app"),
    client.repository("two/app"),
    { tag: "v1" },
  );
  expect(summary).toMatchObject({ bytes: 0, blobs: { pushed: 0, mounted: image.blobs.size } });
  const mounts = registry.ledger.find({ method: "POST", kind: "upload" });
  expect(mounts.map(({ status }) => status)).toEqual(mounts.map(() => 201));
  expect(registry.missing("two/app", image.manifest.digest)).toEqual([]);
});
