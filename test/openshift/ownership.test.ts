import { describe, expect, test } from "vitest";

import {
  OWNERSHIP_ANNOTATION,
  type OwnedTag,
  type Ownership,
  readOwnership,
  writeOwnership,
} from "../../src/openshift/ownership.ts";
import { thrownBy } from "../support/thrown.ts";

const DIGEST = `sha256:${"a".repeat(64)}` as const;
const OURS = { installation: "prod", mirror: "app", source: "quay.io/o/app:1.0" };

function annotated(text: string | undefined, name: string = OWNERSHIP_ANNOTATION) {
  const annotations = text === undefined ? null : { [name]: text };
  return { metadata: { name: "app", namespace: "web", resourceVersion: "7", annotations } };
}

function annotatedWith(value: unknown) {
  return annotated(JSON.stringify(value));
}

describe("reading who owns the tags", () => {
  test.for<readonly [string, Parameters<typeof readOwnership>[0]]>([
    ["no annotations at all", { metadata: { name: "app", namespace: "web", resourceVersion: "7" } }],
    ["annotations that are null", annotated(undefined)],
    ["an empty annotation", annotated("")],
    ["annotations of others alone", annotated("{{{", "example.com/mirrors")],
    ["nobody's tags", annotatedWith({ version: 1, tags: {} })],
  ])("finds nobody in %s", ([, stream]) => {
    expect(readOwnership(stream)).toEqual(new Map());
  });

  test("reads back what was written", () => {
    const ownership = new Map<string, OwnedTag>([
      [
        "1.0",
        {
          ...OURS,
          digest: DIGEST,
          missingSince: "2026-01-01T00:00:00.000Z",
          takeover: "begun",
          replaced: { name: "1.0", from: { kind: "DockerImage", name: "docker.io/library/app:1.0" } },
        },
      ],
      ["latest", { ...OURS, mirror: "other" }],
      ["__proto__", OURS],
      ["constructor", OURS],
    ]);
    expect(readOwnership(annotated(writeOwnership(ownership) ?? ""))).toEqual(ownership);
  });

  test("keeps what a later Tagferry noted about a tag", () => {
    const tags = { "1.0": { ...OURS, pinned: "by hand" } };
    expect(readOwnership(annotatedWith({ version: 1, tags }))).toEqual(new Map(Object.entries(tags)));
  });

  test.for<readonly [string, string]>([
    ["no JSON", "mirror=app"],
    ["JSON that was cut off", JSON.stringify({ version: 1, tags: { "1.0": OURS } }).slice(0, -9)],
    ["a number", "1"],
    ["null", "null"],
    [
      "a takeover of an unknown kind",
      JSON.stringify({ version: 1, tags: { "1.0": { ...OURS, takeover: 7 } } }),
    ],
    [
      "a replaced tag that is none",
      JSON.stringify({ version: 1, tags: { "1.0": { ...OURS, replaced: "x" } } }),
    ],
    [
      "a date that is a number",
      JSON.stringify({ version: 1, tags: { "1.0": { ...OURS, missingSince: 1 } } }),
    ],
    ["a list", "[]"],
    ["another version", JSON.stringify({ version: 2, tags: {} })],
    ["no version", JSON.stringify({ tags: {} })],
    ["a version that is a text", JSON.stringify({ version: "1", tags: {} })],
    ["no tags", JSON.stringify({ version: 1 })],
    ["tags that are null", JSON.stringify({ version: 1, tags: null })],
    ["a tag that is null", JSON.stringify({ version: 1, tags: { "1.0": null } })],
    [
      "a tag without a mirror",
      JSON.stringify({ version: 1, tags: { "1.0": { ...OURS, mirror: undefined } } }),
    ],
    [
      "an installation that is a number",
      JSON.stringify({ version: 1, tags: { "1.0": { ...OURS, installation: 1 } } }),
    ],
    ["a source that is a list", JSON.stringify({ version: 1, tags: { "1.0": { ...OURS, source: [] } } })],
    [
      "a digest that is none",
      JSON.stringify({ version: 1, tags: { "1.0": { ...OURS, digest: "sha256:abc" } } }),
    ],
    ["a bad tag called __proto__", `{"version":1,"tags":{"__proto__":{}}}`],
    ["one bad tag among good ones", JSON.stringify({ version: 1, tags: { "1.0": OURS, "2.0": {} } })],
  ])("refuses %s, and says how to be rid of it: it may be a newer Tagferry's", ([, text]) => {
    const { code, message, details } = thrownBy(() => readOwnership(annotated(text)));
    expect(code).toBe("STREAM_OWNED");
    expect(message).toContain(`${OWNERSHIP_ANNOTATION} of web/app`);
    expect(details["next"]).toContain("oc annotate");
  });
});

const noted = (...tags: readonly string[]): Ownership => new Map(tags.map((tag) => [tag, OURS]));

describe("the text of the annotation", () => {
  test("does not depend on the order in which tags were noted", () => {
    expect(writeOwnership(noted("b", "a", "10", "9"))).toBe(writeOwnership(noted("9", "a", "10", "b")));
  });

  test("is none when nothing is owned: the annotation goes", () => {
    expect(writeOwnership(new Map())).toBeNull();
  });

  test("names its version", () => {
    expect(JSON.parse(writeOwnership(new Map([["1.0", OURS]])) ?? "")).toEqual({
      version: 1,
      tags: { "1.0": OURS },
    });
  });
});
