import { describe, expect, test } from "vitest";

import { parseImageStream } from "../../src/openshift/image-stream-schema.ts";
import {
  currentEvent,
  followedTag,
  type ImageStream,
  importedFrom,
  isLocal,
  specTag,
  spoilingManager,
} from "../../src/openshift/image-stream.ts";
import type { TagReference } from "../../src/openshift/tag-reference.ts";

const NEW = `sha256:${"a".repeat(64)}` as const;
const OLD = `sha256:${"b".repeat(64)}` as const;
const INTERNAL = "image-registry.openshift-image-registry.svc:5000/web/app";
const ROUTE = "default-route.apps.example.com/web/app";

/** As the API server sends it. */
function streamOf(stream: object = {}): ImageStream {
  const metadata = { name: "app", namespace: "web", resourceVersion: "7" };
  return parseImageStream({ metadata, ...stream }, "web/app");
}

function withSpec(...tags: readonly TagReference[]): ImageStream {
  return streamOf({ spec: { tags } });
}

/** A tag that was imported, then pushed. */
const PUSHED = streamOf({
  status: {
    dockerImageRepository: INTERNAL,
    publicDockerImageRepository: ROUTE,
    tags: [
      { tag: "other", items: [{ image: OLD, dockerImageReference: `${INTERNAL}@${OLD}` }] },
      {
        tag: "1.0",
        items: [
          { created: "2026-01-02T03:04:05Z", image: NEW, dockerImageReference: `${INTERNAL}@${NEW}` },
          { created: "2025-01-02T03:04:05Z", image: OLD, dockerImageReference: `quay.io/o/app@${OLD}` },
        ],
      },
    ],
  },
});

describe("the current event of a tag", () => {
  test("is the first of its history, which is the newest", () => {
    expect(currentEvent(PUSHED, "1.0")).toEqual({
      created: "2026-01-02T03:04:05Z",
      image: NEW,
      dockerImageReference: `${INTERNAL}@${NEW}`,
    });
  });

  test.for<readonly [string, ImageStream]>([
    ["a stream that has just been made, without a status", streamOf()],
    ["a status without tags", streamOf({ status: { dockerImageRepository: "" } })],
    ["tags that are null", streamOf({ status: { tags: null } })],
    [
      "a tag whose imports all failed: its items are null",
      streamOf({ status: { tags: [{ tag: "1.0", items: null }] } }),
    ],
    ["a tag with a condition alone", streamOf({ status: { tags: [{ tag: "1.0" }] } })],
    ["an empty history", streamOf({ status: { tags: [{ tag: "1.0", items: [] }] } })],
    [
      "an image of an ancient registry, whose name is no digest",
      streamOf({
        status: { tags: [{ tag: "1.0", items: [{ image: "4fe257ab", dockerImageReference: "a/b:1" }] }] },
      }),
    ],
    [
      "tags of other names, though one begins with it",
      streamOf({
        status: { tags: [{ tag: "1.0.1", items: [{ image: NEW, dockerImageReference: `a@${NEW}` }] }] },
      }),
    ],
  ])("is none with %s", ([, stream]) => {
    expect(currentEvent(stream, "1.0")).toBeUndefined();
  });
});

describe("whether an image lives in the stream's own repository", () => {
  const at = (reference: string, status: object = {}): ImageStream =>
    streamOf({
      status: { ...status, tags: [{ tag: "1.0", items: [{ image: NEW, dockerImageReference: reference }] }] },
    });
  const both = { dockerImageRepository: INTERNAL, publicDockerImageRepository: ROUTE };

  test.for<readonly [string, boolean, ImageStream]>([
    ["the internal name", true, at(`${INTERNAL}@${NEW}`, both)],
    ["the public route", true, at(`${ROUTE}@${NEW}`, both)],
    [
      "the internal name where no route is",
      true,
      at(`${INTERNAL}@${NEW}`, { dockerImageRepository: INTERNAL }),
    ],
    ["another registry", false, at(`quay.io/o/app@${NEW}`, both)],
    ["another stream of the registry", false, at(`${INTERNAL}-two@${NEW}`, both)],
    ["a repository below ours", false, at(`${INTERNAL}/more@${NEW}`, both)],
    ["a cluster without a registry", false, at(`${INTERNAL}@${NEW}`)],
    ["a cluster whose repository is an empty text", false, at(`@${NEW}`, { dockerImageRepository: "" })],
    ["no image", false, streamOf({ status: both })],
  ])("%s: %s", ([, expected, stream]) => {
    expect(isLocal(stream, "1.0")).toBe(expected);
  });
});

describe("what a spec tag says", () => {
  const imported = { name: "1.0", from: { kind: "DockerImage", name: "quay.io/o/app:1.0" } };

  test.for<readonly [string, TagReference, string | undefined, string | undefined]>([
    ["imports from a registry", imported, "quay.io/o/app:1.0", undefined],
    [
      "only refers to a registry: nothing is imported",
      { ...imported, reference: true },
      undefined,
      "quay.io/o/app:1.0 (a reference)",
    ],
    [
      "follows a tag of the same stream",
      { name: "1.0", from: { kind: "ImageStreamTag", name: "latest" } },
      undefined,
      "ImageStreamTag latest",
    ],
    [
      "follows a tag of another namespace",
      { name: "1.0", from: { kind: "ImageStreamTag", namespace: "openshift", name: "nodejs:20" } },
      undefined,
      "ImageStreamTag openshift/nodejs:20",
    ],
    [
      "names an image of a stream",
      { name: "1.0", from: { kind: "ImageStreamImage", name: `app@${OLD}` } },
      undefined,
      `ImageStreamImage app@${OLD}`,
    ],
    ["has no source", { name: "1.0" }, undefined, undefined],
    ["has a source that is null", { name: "1.0", from: null }, undefined, undefined],
  ])("%s", ([, tag, from, followed]) => {
    const stream = withSpec({ name: "0.9", from: { kind: "DockerImage", name: "elsewhere/x" } }, tag);
    expect(specTag(stream, "1.0")).toEqual(tag);
    expect(importedFrom(stream, "1.0")).toBe(from);
    expect(followedTag(stream, "1.0")).toBe(followed);
  });

  test.for<readonly [string, ImageStream]>([
    ["no spec", streamOf()],
    ["tags that are null", streamOf({ spec: { tags: null } })],
    ["other tags", withSpec({ ...imported, name: "2.0" })],
  ])("is nothing with %s", ([, stream]) => {
    expect(specTag(stream, "1.0")).toBeUndefined();
    expect(importedFrom(stream, "1.0")).toBeUndefined();
    expect(followedTag(stream, "1.0")).toBeUndefined();
  });
});

const wrote = (manager: string, time: string, ...tags: readonly string[]) => ({
  manager,
  time,
  fieldsV1: {
    "f:spec": {
      "f:tags": Object.fromEntries(tags.map((tag) => [`k:{"name":"${tag}"}`, { "f:from": {} }])),
    },
  },
});

describe("who wrote a spec tag", () => {
  const managed = (...managedFields: object[]) =>
    streamOf({ metadata: { name: "app", namespace: "web", resourceVersion: "7", managedFields } });

  test("is the one who wrote it last", () => {
    const stream = managed(
      wrote("oc", "2026-01-01T00:00:00Z", "1.0"),
      wrote("argocd-controller", "2026-02-01T00:00:00Z", "1.0", "2.0"),
      wrote("kubectl-edit", "2026-03-01T00:00:00Z", "2.0"),
    );
    expect(spoilingManager(stream, "1.0")).toBe("argocd-controller");
    expect(spoilingManager(stream, "2.0")).toBe("kubectl-edit");
  });

  test.for<readonly [string, ImageStream]>([
    ["the fields are not there", streamOf()],
    [
      "the fields are null",
      streamOf({ metadata: { name: "app", namespace: "web", resourceVersion: "7", managedFields: null } }),
    ],
    ["nobody wrote this tag", managed(wrote("oc", "2026-01-01T00:00:00Z", "1.0.1"))],
    ["a manager has no fields", managed({ manager: "oc", time: "2026-01-01T00:00:00Z" })],
    ["a manager wrote annotations alone", managed({ manager: "oc", fieldsV1: { "f:metadata": {} } })],
  ])("is unknown when %s", ([, stream]) => {
    expect(spoilingManager(stream, "1.0")).toBeUndefined();
  });
});
