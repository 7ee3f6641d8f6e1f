import { expect, test } from "vitest";

import type { ProofRecord, ProofStore } from "../../../src/sync/proofs/proofs.ts";
import { syncMirrors } from "../../../src/sync/sync.ts";
import { buildImage, buildSbom, withReferrers } from "../../support/images/images.ts";
import { between, handClock, openWorld, told, type World } from "../scene.ts";

const image = buildImage({ layers: [500, 500] });
const { digest } = image.manifest;
const [, layer = digest] = image.blobs.keys();
const HOUR_MS = 3_600_000;

test("a tag that was found in place is proved once, and then not before its time", async () => {
  const { run, target } = openScene();
  target().seed(image, "1");
  expect(await run()).toEqual({ app: { "1": "unchanged" } });
  expect(target().count("look")).toBe(image.blobs.size);
  target().clear();
  expect(await run()).toEqual({ app: { "1": "unchanged" } });
  expect(target().count("look")).toBe(0);
});

test("a tag that was just published is not proved", async () => {
  const { run, target } = openScene();
  expect(await run()).toEqual({ app: { "1": "copied" } });
  target().clear();
  expect(await run()).toEqual({ app: { "1": "unchanged" } });
  expect(target().count("look") + target().count("manifest")).toBe(0);
});

test("what the target lost is named and sent again, and the tag is not written", async () => {
  const { run, target, forward, outcomes } = openScene();
  await run();
  target().lose(layer);
  target().forget([layer]);
  target().clear();
  forward(24 * HOUR_MS);
  expect(await run()).toEqual({ app: { "1": "copied" } });
  expect(outcomes.at(-1)).toMatchObject({
    healed: { content: 1, referrers: 0 },
    moved: { blobs: { pushed: 1 } },
  });
  expect(target().missing("1")).toEqual([]);
  expect(target().calls.filter(({ tag }) => tag !== undefined)).toEqual([]);
  forward(24 * HOUR_MS);
  expect(await run()).toEqual({ app: { "1": "unchanged" } });
});

test("what the target loses again at once fails the tag", async () => {
  const { run, target, forward } = openScene();
  await run();
  target().lose(layer);
  target().before(({ operation }) => {
    if (operation === "look") target().lose(layer);
  });
  forward(24 * HOUR_MS);
  expect(await run()).toEqual({ app: { "1": "TARGET_UNPROVEN" } });
});

test("a signature that came after its image travels minutes later, and no tag is written", async () => {
  const { run, source, target, forward, outcomes } = openScene();
  await run();
  const sbom = buildSbom(image);
  source().seed(withReferrers(image, sbom), "1");
  source().seed(sbom);
  target().clear();
  forward(6 * 60_000);
  expect(await run()).toEqual({ app: { "1": "copied" } });
  expect(outcomes.at(-1)).toMatchObject({ healed: { content: 0, referrers: 1 } });
  expect(target().manifests.has(sbom.manifest.digest)).toBe(true);
  expect(target().calls.filter(({ tag }) => tag !== undefined)).toEqual([]);
});

test.for(["manifest", "blob"] as const)("a referrer whose %s the target lost is sent again", async (part) => {
  const { run, source, target, forward, outcomes } = openScene();
  const sbom = buildSbom(image);
  source().seed(withReferrers(image, sbom), "1");
  source().seed(sbom);
  await run();
  const [content = digest] = [...sbom.blobs.keys()].filter((one) => !image.blobs.has(one));
  const lost = part === "manifest" ? sbom.manifest.digest : content;
  target().lose(lost);
  target().forget([lost]);
  forward(24 * HOUR_MS);
  expect(await run()).toEqual({ app: { "1": "copied" } });
  expect(outcomes.at(-1)).toMatchObject({
    healed: part === "manifest" ? { content: 0, referrers: 1 } : { digests: [lost], referrers: 0 },
  });
  expect(target().manifests.has(sbom.manifest.digest)).toBe(true);
  forward(24 * HOUR_MS);
  expect(await run()).toEqual({ app: { "1": "unchanged" } });
});

test("the signature of an SBOM that is in place travels, too", async () => {
  const { run, source, target, forward, outcomes } = openScene();
  const sbom = buildSbom(image);
  source().seed(withReferrers(image, sbom), "1");
  source().seed(sbom);
  await run();
  const signature = buildSbom(sbom);
  source().seed(withReferrers(sbom, signature));
  source().seed(signature);
  forward(24 * HOUR_MS);
  expect(await run()).toEqual({ app: { "1": "copied" } });
  expect(outcomes.at(-1)).toMatchObject({ healed: { content: 0, referrers: 1 } });
  expect(target().manifests.has(signature.manifest.digest)).toBe(true);
});

test("an image beyond `maxImageSize` is refused by policy", async () => {
  const { run, target } = openScene({ maxImageBytes: 600 });
  expect(await run()).toEqual({ app: { "1": "IMAGE_TOO_LARGE" } });
  expect(target().tags.size).toBe(0);
});

type Scene = {
  readonly run: () => Promise<ReturnType<typeof told>>;
  readonly source: () => ReturnType<World["store"]>;
  readonly target: () => ReturnType<World["store"]>;
  readonly forward: (ms: number) => void;
  readonly outcomes: unknown[];
};

/** One mirror with one tag whose source has the image, and a memory of proofs. */
function openScene(changes: Parameters<typeof between>[1] = {}): Scene {
  const mirror = between("app", changes);
  const { context, store } = openWorld([mirror]);
  const { clock, forward } = handClock();
  const outcomes: unknown[] = [];
  const proofs = memoryProofs();
  store("near.example/app").seed(image, "1");
  return {
    source: () => store("near.example/app"),
    target: () => store("far.example/app"),
    forward,
    outcomes,
    run: async () =>
      told(
        await syncMirrors(
          [mirror],
          { ...context, proofs },
          { clock, now: clock(), watch: { outcome: (outcome) => void outcomes.push(outcome) } },
        ),
      ),
  };
}

function memoryProofs(): ProofStore {
  const targets = new Map<string, Map<string, ProofRecord>>();
  return {
    read: async (target) => targets.get(target) ?? new Map<string, ProofRecord>(),
    async write(target, tag, record) {
      const records = targets.get(target) ?? new Map<string, ProofRecord>();
      targets.set(target, records.set(tag, record));
    },
  };
}
