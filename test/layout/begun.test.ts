import { mkdir, writeFile } from "node:fs/promises";

import { expect, test } from "vitest";

import { openLayout } from "../../src/layout/layout.ts";
import { temporaryDirectory } from "../support/temporary.ts";

test("takes up a directory that a killed run had only begun to make a layout", async () => {
  await using directory = await temporaryDirectory();
  await mkdir(directory.join("blobs"));
  await mkdir(directory.join(".tagferry"));
  await using layout = await openLayout(directory.path, { create: true });
  expect(await Array.fromAsync(layout.listing())).toEqual([]);
});

test("refuses a directory with content that nobody called a layout", async () => {
  await using directory = await temporaryDirectory();
  await mkdir(directory.join("blobs"));
  await writeFile(directory.join("blobs", "holiday.jpg"), "");
  await expect(openLayout(directory.path, { create: true })).rejects.toMatchObject({ code: "OUTPUT_PATH" });
});
