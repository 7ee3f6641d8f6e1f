import { expect, test } from "vitest";

import { buildImage, pushTo } from "../support/images/images.ts";
import { registryClient } from "../support/registry/client.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";
import { type Answer, json } from "../support/registry/wire.ts";

/** Asks for tags that do not exist, in two repositories. Returns the requests: `HEAD manifest`, `GET /api/version`. */
async function asked(registry: TestRegistry, kind: "auto" | "harbor" | "distribution"): Promise<string[]> {
  await using client = registryClient(registry.host, { kind });
  for (const tag of ["a", "b", "c"])
    for (const repository of ["lab/app", "lab/other"])
      expect(await client.repository(repository).resolve(tag)).toBeUndefined();
  return registry.ledger.entries.map(
    ({ method, path }) => `${method} ${path.replace(/\/v2\/.*/, "manifest")}`,
  );
}

const count = (requests: readonly string[], what: string): number =>
  requests.filter((request) => request === what).length;

const serving = (version: (path: string) => Answer): Promise<TestRegistry> =>
  startRegistry({ other: ({ path }) => version(path) });

test("Harbor is recognised by /api/version, once, without credentials, and its HEAD is trusted from then on", async () => {
  await using harbor = await serving(() => json(200, { version: "v2.0" }));
  const requests = await asked(harbor, "auto");
  expect(count(requests, "GET /api/version")).toBe(1);
  expect(count(requests, "HEAD manifest")).toBe(6);
  expect(count(requests, "GET manifest")).toBe(0);
  const version = harbor.ledger.entries.find(({ path }) => path === "/api/version");
  expect(version?.authorization).toBeUndefined();
});

test.for<readonly [string, Answer]>([
  ["404", json(404, {})],
  ["a page", { status: 200, headers: { "content-type": "text/html" }, body: Buffer.from("<html>") }],
  ["another version", json(200, { version: 7 })],
  ["null", json(200, null)],
  ["500", json(500, {})],
  ["a redirect", { status: 302, headers: { location: "/login" } }],
])("a registry that answers %s is asked once, and its HEAD is not trusted", async ([, answer]) => {
  await using registry = await serving(() => answer);
  const requests = await asked(registry, "auto");
  expect(count(requests, "GET /api/version")).toBe(1);
  expect(count(requests, "GET manifest")).toBe(6);
});

test.for(["harbor", "distribution"] as const)(
  "a registry whose kind is %s by configuration is not asked",
  async (kind) => {
    await using registry = await serving(() => json(200, { version: "v2.0" }));
    expect(count(await asked(registry, kind), "GET /api/version")).toBe(0);
  },
);

test("a registry whose HEAD found something is not asked", async () => {
  await using registry = await serving(() => json(200, { version: "v2.0" }));
  await pushTo(registry, "lab/app", buildImage({ seed: "one" }), "1");
  registry.ledger.clear();
  await using client = registryClient(registry.host);
  await client.repository("lab/app").resolve("1");
  await client.repository("lab/app").resolve("2");
  expect(registry.ledger.entries.map(({ method }) => method)).toEqual(["HEAD", "HEAD"]);
});
