import { readFile, writeFile } from "node:fs/promises";

import { describe, expect, test } from "vitest";

import { type LayoutIndex, parseIndex, withName } from "../../src/layout/index-file.ts";
import { openIndexFile, type Writing } from "../../src/layout/index-writer.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_MANIFEST } from "../../src/oci/media-type.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary.ts";

const image = { mediaType: OCI_MANIFEST, digest: digestOf(Buffer.of(1)), size: 1 };

/** Counts how often the file is written, and records the order of events. */
function watched(directory: TemporaryDirectory): Writing & { readonly story: string[] } {
  const story: string[] = [];
  return {
    story,
    temporary: () => {
      story.push("write");
      return directory.join(`tmp-${story.length}`);
    },
    settle: async () => {
      story.push("settle");
    },
  };
}

async function tagsOn(directory: TemporaryDirectory): Promise<(string | undefined)[]> {
  const { entries } = parseIndex(await readFile(directory.join("index.json")), "index.json");
  return entries.map(({ name }) => name);
}

const tagging =
  (tag: string) =>
  (index: LayoutIndex): LayoutIndex =>
    withName(index, tag, image);

describe("changes of index.json", () => {
  test("that come together are written together: 500 tags cost two writes", async () => {
    await using directory = await temporaryDirectory();
    const file = openIndexFile(directory.path, { optional: true });
    const writing = watched(directory);
    const tags = Array.from({ length: 500 }, (_, position) => `v${position}`);
    await Promise.all(tags.map((tag) => file.change(tagging(tag), writing)));
    expect(writing.story).toEqual(["settle", "write", "settle", "write"]);
    expect(await tagsOn(directory)).toEqual(tags);
  });

  test("are on the disk when they are done", async () => {
    await using directory = await temporaryDirectory();
    const file = openIndexFile(directory.path, { optional: true });
    for (const tag of ["a", "b", "c"]) {
      await file.change(tagging(tag), watched(directory));
      expect((await tagsOn(directory)).at(-1)).toBe(tag);
    }
  });

  test("come after the content they name", async () => {
    await using directory = await temporaryDirectory();
    const file = openIndexFile(directory.path, { optional: true });
    const writing: Writing = { ...watched(directory), settle: () => Promise.reject(new Error("disk gone")) };
    await expect(file.change(tagging("a"), writing)).rejects.toThrow("disk gone");
    expect((await file.read()).entries).toEqual([]);
    await file.change(tagging("b"), watched(directory));
    expect(await tagsOn(directory)).toEqual(["b"]);
  });

  test("that change nothing write nothing", async () => {
    await using directory = await temporaryDirectory();
    const file = openIndexFile(directory.path, { optional: true });
    await file.change(tagging("a"), watched(directory));
    const writing = watched(directory);
    await file.change(tagging("a"), writing);
    await file.change((index) => index, writing);
    expect(writing.story).toEqual([]);
  });

  test("begin from what another process wrote", async () => {
    await using directory = await temporaryDirectory();
    const [one, other] = [1, 2].map(() => openIndexFile(directory.path, { optional: true }));
    await one?.change(tagging("a"), watched(directory));
    await other?.change(tagging("b"), watched(directory));
    await one?.change(tagging("c"), watched(directory));
    expect(await tagsOn(directory)).toEqual(["a", "b", "c"]);
  });

  test("fail, and keep the file, when it is no index any more", async () => {
    await using directory = await temporaryDirectory();
    const file = openIndexFile(directory.path, { optional: true });
    await file.change(tagging("a"), watched(directory));
    await writeFile(directory.join("index.json"), "{ broken");
    await expect(file.change(tagging("b"), watched(directory))).rejects.toMatchObject({
      code: "LAYOUT_INVALID",
    });
    expect(await readFile(directory.join("index.json"), "utf8")).toBe("{ broken");
  });
});
