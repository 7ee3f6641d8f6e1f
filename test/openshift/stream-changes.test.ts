import { expect, test } from "vitest";

import { readOwnership, writeOwnership } from "../../src/openshift/ownership.ts";
import {
  claimPatch,
  missingPatch,
  publishedPatch,
  removedPatch,
  type StreamPatch,
} from "../../src/openshift/stream-changes.ts";

const DIGEST = `sha256:${"a".repeat(64)}` as const;
const OURS = { installation: "here", mirror: "app", source: "quay.io/o/app:1" };
const THEIRS = { ...OURS, mirror: "other" };

function streamOf(tags: Record<string, typeof OURS>) {
  const text = writeOwnership(new Map(Object.entries(tags)));
  const annotations = text === null ? {} : { "tagferry.io/mirrors": text };
  return { metadata: { name: "app", namespace: "web", resourceVersion: "1", annotations } };
}

const claimOf = (tag: string) => ({ tag, mirror: "app", source: "quay.io/o/app:1", takeover: false });

test("a claim takes what is free and leaves what another mirror owns", () => {
  const current = streamOf({ theirs: THEIRS });
  const { patch, failures } = claimPatch(current, [claimOf("free"), claimOf("theirs")], "here");
  expect([...failures]).toMatchObject([["theirs", { code: "STREAM_OWNED" }]]);
  const annotations = patch?.metadata.annotations;
  expect(readOwnership({ metadata: { ...current.metadata, annotations } as never })).toEqual(
    new Map([
      ["free", OURS],
      ["theirs", THEIRS],
    ]),
  );
});

test.for(["__proto__", "constructor", "toString", "hasOwnProperty"])(
  "a tag called %s is claimed, published, missed and removed like any other",
  (tag) => {
    const after = (patch: StreamPatch | undefined) => {
      const text = patch?.metadata.annotations["tagferry.io/mirrors"] ?? undefined;
      const { metadata } = streamOf({});
      return { metadata: { ...metadata, annotations: { "tagferry.io/mirrors": text } } };
    };
    const { patch, failures } = claimPatch(streamOf({}), [claimOf(tag)], "here");
    expect(failures.size).toBe(0);
    const claimed = after(patch);
    expect(readOwnership(claimed)).toEqual(new Map([[tag, OURS]]));
    const done = { ...claimOf(tag), digest: DIGEST, finishTakeover: false };
    const published = after(publishedPatch(claimed, [done], "here"));
    expect(readOwnership(published)).toEqual(new Map([[tag, { ...OURS, digest: DIGEST }]]));
    const owner = { mirror: "app", installation: "here" };
    const missing = after(missingPatch(published, [{ tag, missingSince: "2026-01-01T00:00:00Z" }], owner));
    expect(readOwnership(missing).get(tag)).toMatchObject({ missingSince: "2026-01-01T00:00:00Z" });
    expect(removedPatch(missing, [tag])?.metadata.annotations).toEqual({ "tagferry.io/mirrors": null });
  },
);

test("what changes nothing is no patch", () => {
  const current = streamOf({ "1": { ...OURS, digest: DIGEST } as typeof OURS });
  const published = { tag: "1", mirror: "app", source: OURS.source, digest: DIGEST, finishTakeover: false };
  expect(claimPatch(current, [claimOf("1")], "here").patch).toBeUndefined();
  expect(publishedPatch(current, [published], "here")).toBeUndefined();
  expect(missingPatch(current, [{ tag: "1" }], { mirror: "app", installation: "here" })).toBeUndefined();
  expect(removedPatch(current, ["2"])).toBeUndefined();
});

test("what is missing is recorded for our own tags only", () => {
  const current = streamOf({ theirs: THEIRS });
  const missing = [{ tag: "theirs", missingSince: "2026-01-01T00:00:00Z" }];
  expect(missingPatch(current, missing, { mirror: "app", installation: "here" })).toBeUndefined();
});
