import { expect, test } from "vitest";

import { planMirrors } from "../../src/sync/sync.ts";
import { between, handClock, imageOf, openWorld } from "./scene.ts";

test("what is planned says when its source was read: before it was asked", async () => {
  const { clock, forward } = handClock();
  const mirror = between("app");
  const { context, store } = openWorld([mirror]);
  const source = store("near.example/app");
  for (const tag of ["1", "2"]) source.seed(imageOf(tag), tag);
  source.before(({ operation }) => forward(operation === "listing" ? 60_000 : 1_000));
  const [planned] = await planMirrors([mirror], context, { clock });
  expect(planned).toMatchObject({
    plan: {
      actions: [
        { tag: "1", from: { source: "near.example/app", tag: "1" }, readAt: "2026-06-10T00:01:00.000Z" },
        { tag: "2", from: { source: "near.example/app", tag: "2" } },
      ],
    },
  });
});

test("a digest in the listing saves the question where it is in place, and is confirmed where it is not", async () => {
  const mirror = between("app");
  const { context, store } = openWorld([mirror]);
  const [source, target] = [store("near.example/app"), store("far.example/app")];
  const [kept, moved, lie] = [imageOf("kept"), imageOf("moved"), imageOf("lie")];
  source.seed(kept, "kept");
  source.seed(moved, "moved");
  source.seed(lie);
  target.seed(kept, "kept");
  const listed = [
    { tag: "kept", image: kept.manifest },
    { tag: "moved", image: lie.manifest },
  ];
  const hinting = {
    ...context,
    source: async () => ({
      ...source,
      async *listing() {
        yield* listed.map(({ tag, image: { digest, mediaType } }) => ({
          tag,
          image: { digest, mediaType, size: 1 },
        }));
      },
    }),
  };
  const [planned] = await planMirrors([mirror], hinting);
  expect(planned).toMatchObject({
    plan: {
      actions: [
        { kind: "keep", tag: "kept" },
        { kind: "create", tag: "moved", image: { digest: moved.manifest.digest } },
      ],
    },
  });
  expect(source.count("resolve", "kept")).toBe(0);
  expect(source.count("resolve", "moved")).toBe(1);
});
