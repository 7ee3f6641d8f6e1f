import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, describe, expect, test } from "vitest";

import { encodedOf, type Digest } from "../../src/oci/digest.ts";
import {
  allBlobs,
  allManifests,
  buildImage,
  buildIndex,
  buildNestedIndex,
  buildSbom,
  buildSignature,
  pushTo,
  withReferrers,
} from "../support/images/images.ts";
import type { BuiltImage } from "../support/images/manifest.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";
import { openScene, REPOSITORY, type Scene, STREAM } from "../support/scene.ts";

/** Every request boundary with TAGFERRY_CRASH=full; else this many of each shape, spread evenly. */
const POINTS = process.env["TAGFERRY_CRASH"] === "full" ? Infinity : 10;

/** Where a run was killed, and the state of the target afterwards. */
type Target = {
  readonly mirror: object;
  /** What the tag points at, if anything. */
  published(): Digest | undefined;
  /** The missing parts of the published image. */
  missing(digest: Digest): readonly Digest[];
  holds(digest: Digest): boolean;
};

type Shape = {
  readonly name: string;
  readonly build: () => BuiltImage;
  readonly target: "registry" | "layout" | "stream" | "takeover";
};

const tiny = { layers: [2_000, 1_000] };
const SHAPES: readonly Shape[] = [
  {
    name: "a single image into a stream",
    build: () => buildImage({ seed: "single", ...tiny }),
    target: "stream",
  },
  {
    name: "an index of five platforms into a registry",
    build: () => buildIndex({ seed: "five", layers: [1_000] }),
    target: "registry",
  },
  { name: "a nested index into a registry", build: () => buildNestedIndex(), target: "registry" },
  { name: "a nested index into a layout", build: () => buildNestedIndex(), target: "layout" },
  { name: "an image with two referrers into a registry", build: () => signed(), target: "registry" },
  { name: "a takeover", build: () => buildImage({ seed: "taken", ...tiny }), target: "takeover" },
];

function signed(): BuiltImage {
  const image = buildImage({ seed: "signed", ...tiny });
  return withReferrers(image, buildSbom(image), buildSignature(image));
}

let tried = 0;
afterAll(() => console.log(`crash points tried: ${tried}`));

function targetOf(shape: Shape, scene: Scene, registry: TestRegistry, image: BuiltImage): Target {
  switch (shape.target) {
    case "registry":
      return {
        mirror: { target: `${registry.host}/mirror/app` },
        published: () => registry.digestOf("mirror/app", "1"),
        missing: (digest) => registry.missing("mirror/app", digest),
        holds: (digest) => registry.hasBlob("mirror/app", digest),
      };
    case "layout":
      return layoutTarget(scene.directory.join("layout"), image);
    case "stream":
    case "takeover":
      return {
        mirror: { takeover: shape.target === "takeover" },
        published: () => publishedInStream(scene),
        missing: (digest) => scene.cluster.registry.missing("web/app", digest),
        holds: (digest) => scene.cluster.registry.hasBlob("web/app", digest),
      };
  }
}

function publishedInStream(scene: Scene): Digest | undefined {
  const reference = scene.tags()["1"];
  // the image that was imported before the takeover is not ours
  return reference?.startsWith(scene.cluster.registryHost) ? (reference.split("@")[1] as Digest) : undefined;
}

function layoutTarget(path: string, image: BuiltImage): Target {
  const has = (digest: Digest): boolean => existsSync(join(path, "blobs", "sha256", encodedOf(digest)));
  const all = [...allBlobs(image).keys(), ...allManifests(image).map(({ digest }) => digest)];
  return {
    mirror: { target: `oci:${path}` },
    published() {
      const file = join(path, "index.json");
      if (!existsSync(file)) return undefined;
      const { manifests } = JSON.parse(readFileSync(file, "utf8")) as {
        manifests: { digest: Digest; annotations?: Record<string, string> }[];
      };
      return manifests.find(({ annotations }) => annotations?.["org.opencontainers.image.ref.name"] === "1")
        ?.digest;
    },
    missing: () => all.filter((digest) => !has(digest)),
    holds: has,
  };
}

/**
 * Runs once, killed at request `killAt` (never: undefined), and then to its end; checks what must hold in between
 * and after.
 */
async function crash(shape: Shape, killAt: number | undefined): Promise<number> {
  await using registry = await startRegistry();
  await using scene = await openScene({ registries: { [registry.host]: { plainHttp: true } } });
  const { source, cluster } = scene;
  const image = await pushTo(source, REPOSITORY, shape.build(), "1");
  if (shape.target === "takeover") await seedImported(scene);
  const target = targetOf(shape, scene, registry, image);
  const killer = new AbortController();
  let requests = 0;
  const count = ({ break: cut }: { break: () => void }): void => {
    requests += 1;
    if (requests !== killAt) return;
    killer.abort();
    // two cases at each boundary: the request is lost with its sender, or it still arrives
    if (killAt % 2 === 1) cut();
  };
  const hooks = [source, registry, cluster, cluster.registry].map((server) =>
    server.before((request) => count({ break: () => request.break() })),
  );
  const first = await scene.sync(target.mirror, { signal: killer.signal });
  for (const unhook of hooks) unhook();
  const total = requests;
  if (killAt === undefined) {
    expect(first.code, first.stderr).toBe(0);
    return total;
  }
  tried += 1;
  const published = target.published();
  if (published !== undefined)
    expect(target.missing(published), `published while incomplete at request ${killAt}`).toEqual([]);
  const finished = [...allBlobs(image, { referrers: false }).keys()].filter((digest) => target.holds(digest));
  source.ledger.clear();
  const second = await scene.sync(target.mirror);
  expect(second.code, `the run after the kill at request ${killAt}: ${second.stdout}${second.stderr}`).toBe(
    0,
  );
  expect(target.published()).toBe(image.manifest.digest);
  expect(target.missing(image.manifest.digest)).toEqual([]);
  const fetched = source.ledger.entries
    .filter(({ kind, method }) => kind === "blob" && method === "GET")
    .map(({ path }) => path);
  expect(
    finished.filter((digest) => fetched.some((path) => path.endsWith(digest))),
    `fetched again after request ${killAt}`,
  ).toEqual([]);
  if (shape.target === "takeover")
    expect(cluster.stream(STREAM.namespace, STREAM.name)?.spec.tags ?? []).toEqual([]);
  return total;
}

async function seedImported({ source, cluster }: Scene): Promise<void> {
  const old = await pushTo(source, "elsewhere/app", buildImage({ seed: "old" }), "1");
  const reference = `${source.host}/elsewhere/app@${old.manifest.digest}`;
  cluster.seedStream(STREAM.namespace, STREAM.name, {
    tags: {
      1: {
        from: `${source.host}/elsewhere/app:1`,
        scheduled: true,
        history: [{ image: old.manifest.digest, reference }],
      },
    },
  });
}

describe("killed at a request boundary, nothing incomplete is published and the next run ends it", () => {
  test.for(SHAPES)("$name", { timeout: 900_000 }, async (shape) => {
    const total = await crash(shape, undefined);
    const step = Math.max(1, total / POINTS);
    const points = [
      ...new Set(
        Array.from(
          { length: Math.min(total, POINTS === Infinity ? total : POINTS) },
          (_, position) => Math.floor(position * step) + 1,
        ),
      ),
    ];
    // two at a time: each is a process, and the machine is small
    const lanes = [
      points.filter((_, position) => position % 2 === 0),
      points.filter((_, position) => position % 2 === 1),
    ];
    await Promise.all(
      lanes.map(async (lane) => {
        for (const point of lane) await crash(shape, point);
      }),
    );
    expect(points.length).toBeGreaterThan(5);
  });
});
