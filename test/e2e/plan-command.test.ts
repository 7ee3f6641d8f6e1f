import { expect, test } from "vitest";

import { buildLayer } from "../support/images/content.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";
import { tagferry, writeConfig } from "../support/tagferry.ts";
import { temporaryDirectory } from "../support/temporary.ts";

type World = AsyncDisposable & { readonly registry: TestRegistry; readonly config: string };

const TAGS = ["1.9", "1.10", "1.10.0-rc1", "1.2", "2.0", "latest"];

/** Images that share a layer of 200,000 bytes, and a mirror of the versions 1.9 and 1.10. */
async function openWorld(): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const registry = stack.use(await startRegistry({ behaviour: { mount: "never" } }));
  const shared = buildLayer("shared", { sizeBytes: 200_000 });
  for (const tag of TAGS) {
    const own = buildLayer(tag, { sizeBytes: 50_000 });
    await pushTo(registry, "a/app", buildImage({ seed: tag, layers: [shared, own] }), tag);
  }
  const config = await writeConfig(directory.path, {
    version: 1,
    registries: { [registry.host]: { plainHttp: true } },
    mirrors: [
      {
        name: "app",
        source: `${registry.host}/a/app`,
        target: `${registry.host}/b/app`,
        tags: { semver: ">=1.9 <2", glob: "v*" },
      },
    ],
  });
  const owned = stack.move();
  return { registry, config, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

test("plan shows source and target, tags in the order of versions, and the bytes to copy", async () => {
  await using world = await openWorld();
  const { host } = world.registry;
  const { stdout, code } = await tagferry(["plan", "-c", world.config]);
  expect(code).toBe(0);
  const lines = stdout.split("\n");
  expect(lines[0]).toBe(`app  ${host}/a/app → ${host}/b/app`);
  expect(lines.slice(1, 3).map((line) => line.trim().split(/\s+/)[1])).toEqual(["1.9", "1.10"]);
  // the shared layer counts once
  expect(stdout).toMatch(/ {2}29\d KiB to copy/);
  expect(stdout).toMatch(/1 mirror: 2 to create; 29\d KiB to copy/);
  expect(stdout).toMatch(/sha256:[0-9a-f]{12} /);
  expect(world.registry.ledger.count({ method: "PUT" })).toBe(0);
});

test("plan counts only what the target does not have, and nothing with --no-sizes", async () => {
  await using world = await openWorld();
  const { host, ledger } = world.registry;
  const copied = await tagferry(["copy", `${host}/a/app:2.0`, `${host}/b/app:2.0`, "-c", world.config]);
  expect(copied.code, copied.stderr).toBe(0);
  const plan = await tagferry(["plan", "-c", world.config, "-o", "json"]);
  const [{ copyBytes }] = JSON.parse(plan.stdout) as [{ copyBytes: number }];
  expect(copyBytes).toBeGreaterThan(90_000);
  expect(copyBytes).toBeLessThan(120_000);
  const read = { method: "GET", path: /\/a\/app\/manifests\// } as const;
  const before = ledger.count(read);
  const without = await tagferry(["plan", "-c", world.config, "--no-sizes"]);
  expect(without.stdout).toContain("the bytes to copy were not read");
  expect(ledger.count(read)).toBe(before);
});

test("plan --explain names the rule that came closest to each dropped tag", async () => {
  await using world = await openWorld();
  const { stdout } = await tagferry(["plan", "app", "--explain", "-c", world.config]);
  const why = stdout.split("  why\n")[1]?.split("\n").slice(0, TAGS.length) ?? [];
  expect(why.map((line) => line.trim().replaceAll(/\s{2,}/g, " "))).toEqual([
    'dropped 1.2 no rule includes it; closest: semver: ">=1.9 <2", but it is older',
    'kept 1.9 semver: ">=1.9 <2"',
    'dropped 1.10.0-rc1 no rule includes it; closest: semver: ">=1.9 <2", but prereleases match only a range that names one',
    'kept 1.10 semver: ">=1.9 <2"',
    'dropped 2.0 no rule includes it; closest: semver: ">=1.9 <2", but it is newer',
    'dropped latest no rule includes it; closest: semver: ">=1.9 <2", but it is not a version',
  ]);
});

test("plan -o markdown is a table of the changes", async () => {
  await using world = await openWorld();
  const { stdout, code } = await tagferry(["plan", "-o", "markdown", "-c", world.config]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^## Tagferry plan\n\n### app {2}\S+ → \S+\n\n\| \| tag \| image \| why \|/);
  expect(stdout.split("\n").filter((line) => line.startsWith("| create |"))).toEqual([
    expect.stringMatching(/^\| create \| `1\.9` \| `sha256:[0-9a-f]{12}` \| new \|$/),
    expect.stringMatching(/^\| create \| `1\.10` \| /),
  ]);
});

test("sync shows source and target, tags in the order of versions, and short digests", async () => {
  await using world = await openWorld();
  const { host } = world.registry;
  const { stdout } = await tagferry(["sync", "-c", world.config]);
  const lines = stdout.split("\n");
  expect(lines[0]).toBe(`app  ${host}/a/app → ${host}/b/app`);
  expect(lines[1]).toMatch(/^ {2}\+ 1\.9 {2}sha256:[0-9a-f]{12} {2}copied/);
  expect(lines[2]).toMatch(/^ {2}\+ 1\.10 {2}/);
  const again = await tagferry(["sync", "-c", world.config, "-o", "json"]);
  expect(again.stdout).toMatch(/"sha256:[0-9a-f]{64}"/);
  const tags = await tagferry(["tags", `${host}/a/app`, "-c", world.config]);
  expect(tags.stdout.split("\n").flatMap((line) => line.split(" ", 1)[0] || [])).toEqual([
    "1.2",
    "1.9",
    "1.10.0-rc1",
    "1.10",
    "2.0",
    "latest",
  ]);
});
