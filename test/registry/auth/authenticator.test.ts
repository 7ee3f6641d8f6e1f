import { expect, test } from "vitest";

import { buildImage } from "../../support/images/images.ts";
import { registryClient } from "../../support/registry/client.ts";
import { registryError } from "../../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../../support/registry/registry.ts";

const REPOSITORY = "library/app";

type Challenges = (usual: string) => string;

/** A registry for anonymous users, with tokens from its own origin, that changes its challenges. */
async function withTokens(challenge: Challenges): Promise<TestRegistry> {
  const registry = await startRegistry({
    auth: {
      kind: "bearer",
      origin: "same",
      anonymous: "pull",
      username: "user",
      password: "secret",
      challenge,
    },
  });
  const image = buildImage({ layers: 1 });
  registry.putManifest(REPOSITORY, image.manifest.bytes, image.manifest.mediaType, "1");
  return registry;
}

const namingAnother = (host: string): Challenges => {
  return (usual) => usual.replace(/realm="[^"]*"/, `realm="${host}/token"`);
};

// nvcr.io, https://github.com/NVIDIA/nvidia-container-toolkit/issues/1945
test("an expired token is renewed where it came from, although the registry now names another token server", async () => {
  await using elsewhere = await startRegistry();
  elsewhere.on({ always: true }, registryError(401, "UNAUTHORIZED"));
  const another = namingAnother(elsewhere.url);
  await using registry = await withTokens((usual) =>
    usual.includes("invalid_token") ? another(usual) : usual,
  );
  await using client = registryClient(registry.host);
  const repository = client.repository(REPOSITORY);
  expect(await repository.resolve("1")).toBeDefined();
  registry.revokeTokens();
  expect(await repository.resolve("1")).toBeDefined();
  expect(elsewhere.ledger.count()).toBe(0);
});

test("a token server that moved is found when the old one has no token", async () => {
  let moved = false;
  await using elsewhere = await withTokens((usual) => usual);
  const another = namingAnother(elsewhere.url);
  await using registry = await withTokens((usual) => (moved ? another(usual) : usual));
  await using client = registryClient(registry.host);
  const repository = client.repository(REPOSITORY);
  await repository.resolve("1");
  moved = true;
  registry.revokeTokens();
  registry.on({ kind: "token", always: true }, registryError(404, "NOT_FOUND"));
  // its tokens are not good here, but it was asked for one
  await expect(repository.resolve("1")).rejects.toMatchObject({ code: "AUTH_DENIED" });
  expect(elsewhere.ledger.count({ kind: "token" })).toBeGreaterThan(0);
});

test("a challenge that leads to no token is not used again", async () => {
  await using elsewhere = await startRegistry();
  elsewhere.on({ always: true }, registryError(403, "DENIED"));
  const another = namingAnother(elsewhere.url);
  let count = 0;
  await using registry = await withTokens((usual) => ((count += 1) === 1 ? another(usual) : usual));
  await using client = registryClient(registry.host);
  const repository = client.repository(REPOSITORY);
  await expect(repository.resolve("1")).rejects.toMatchObject({ code: "AUTH_DENIED" });
  expect(await repository.resolve("1")).toBeDefined();
});
