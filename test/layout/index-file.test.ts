import * as fc from "fast-check";
import { expect, test } from "vitest";

import {
  EMPTY_INDEX,
  findDigest,
  findName,
  formatIndex,
  type LayoutIndex,
  parseIndex,
  refName,
  tagInName,
  withoutUnnamed,
  withName,
  withUnnamed,
} from "../../src/layout/index-file.ts";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-type.ts";

function image(number: number): Descriptor {
  return { mediaType: OCI_MANIFEST, digest: digestOf(Buffer.of(number)), size: number };
}

function names({ entries }: LayoutIndex): (string | undefined)[] {
  return entries.map(({ name }) => name);
}

function reread(index: LayoutIndex): LayoutIndex {
  return parseIndex(Buffer.from(formatIndex(index)), "index.json");
}

test("an empty index is one that any tool reads", () => {
  expect(JSON.parse(formatIndex(EMPTY_INDEX))).toEqual({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [],
  });
});

test("a tag that moves keeps its place, and names one image", () => {
  const before = ["a", "b", "c"].reduce(
    (index, tag, position) => withName(index, tag, image(position)),
    EMPTY_INDEX,
  );
  const after = withName(before, "b", image(9));
  expect(names(after)).toEqual(["a", "b", "c"]);
  expect(findName(after, "b")).toEqual(image(9));
  expect(findDigest(after, image(1).digest)).toBeUndefined();
});

test("two tags name one image", () => {
  const index = withName(withName(EMPTY_INDEX, "a", image(1)), "b", image(1));
  expect(names(index)).toEqual(["a", "b"]);
});

test("a tag that stands already changes nothing", () => {
  const index = withName(EMPTY_INDEX, "a", image(1));
  expect(withName(index, "a", image(1))).toBe(index);
});

test("an unnamed entry gives way to a tag, and comes only where there is none", () => {
  const unnamed = withUnnamed(EMPTY_INDEX, [image(1), image(2)]);
  expect(names(unnamed)).toEqual([undefined, undefined]);
  expect(withUnnamed(unnamed, [image(1)])).toBe(unnamed);
  const tagged = withName(unnamed, "a", image(1));
  expect(names(tagged)).toEqual([undefined, "a"]);
  expect(withUnnamed(tagged, [image(1)])).toBe(tagged);
});

test("only bare entries are dropped for what something else leads to", () => {
  const annotated = { ...image(1), annotations: { theirs: "kept" } };
  const index = parseIndex(
    Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [annotated, image(2), image(3)] })),
    "index.json",
  );
  const dropped = withoutUnnamed(index, new Set([image(1).digest, image(2).digest]));
  expect(dropped.entries.map(({ descriptor }) => descriptor)).toEqual([image(1), image(3)]);
  expect(withoutUnnamed(dropped, new Set([image(2).digest]))).toBe(dropped);
});

test("whatever tags are written in whatever order, each names the image written last", () => {
  const writes = fc.array(fc.tuple(fc.constantFrom("a", "b", "c", "d"), fc.integer({ min: 0, max: 5 })), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(writes, (pairs) => {
      const index = pairs.reduce(
        (before, [tag, number]) => withName(before, tag, image(number)),
        EMPTY_INDEX,
      );
      const expected = new Map(pairs);
      const read = reread(index);
      expect(names(read)).toHaveLength(expected.size);
      for (const [tag, number] of expected) expect(findName(read, tag)).toEqual(image(number));
    }),
  );
});

test.for([
  ["1.27", undefined, "1.27"],
  ["docker.io/library/nginx:1.27", undefined, undefined],
  ["docker.io/library/nginx:1.27", "docker.io/library/nginx", "1.27"],
  ["localhost:5000/a:1", "localhost:5000/a", "1"],
  ["docker.io/library/nginx-extra:1", "docker.io/library/nginx", undefined],
  ["docker.io/library/nginx:a:b", "docker.io/library/nginx", undefined],
  ["docker.io/library/nginx", "docker.io/library/nginx", undefined],
  ["1.27", "docker.io/library/nginx", undefined],
] as const)("the name %s is, in %s, for the tag %s", ([name, repository, tag]) => {
  expect(tagInName(name, repository)).toBe(tag);
  if (tag !== undefined) expect(refName(tag, repository)).toBe(name);
});

test("the same tag of two repositories, and a bare one, stand side by side", () => {
  const written = [undefined, "quay.io/a/b", "quay.io/a/c"].map((repository) => refName("v1", repository));
  const index = written.reduce(
    (before, name, position) => withName(before, name, image(position)),
    EMPTY_INDEX,
  );
  const moved = withName(reread(index), "quay.io/a/b:v1", image(9));
  expect(names(moved)).toEqual(["v1", "quay.io/a/b:v1", "quay.io/a/c:v1"]);
  expect(written.map((name) => findName(moved, name)?.size)).toEqual([0, 9, 2]);
});
