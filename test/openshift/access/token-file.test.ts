import { rename, rm, utimes, writeFile } from "node:fs/promises";

import { expect, test } from "vitest";

import { tokenFile } from "../../../src/openshift/access/token-file.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

test("a token is the file's text without its line feed", async () => {
  await using directory = await temporaryDirectory();
  const path = directory.join("token");
  await writeFile(path, "one\n");
  await expect(tokenFile(path)()).resolves.toBe("one");
});

test("a renewed token is used at once, written over the old one or put in its place", async () => {
  await using directory = await temporaryDirectory();
  const path = directory.join("token");
  await writeFile(path, "one");
  const token = tokenFile(path);
  await expect(token()).resolves.toBe("one");
  await writeFile(path, "second");
  await expect(token()).resolves.toBe("second");
  // same length and time, but another file
  await writeFile(directory.join("next"), "fourth");
  await utimes(directory.join("next"), 1, 1);
  await utimes(path, 1, 1);
  await expect(token()).resolves.toBe("second");
  await rename(directory.join("next"), path);
  await expect(token()).resolves.toBe("fourth");
});

test("while a renewal leaves nothing to read, the token before is used", async () => {
  await using directory = await temporaryDirectory();
  const path = directory.join("token");
  await writeFile(path, "one");
  const token = tokenFile(path);
  await token();
  await writeFile(path, "");
  await expect(token()).resolves.toBe("one");
  await rm(path);
  await expect(token()).resolves.toBe("one");
  await writeFile(path, "two");
  await expect(token()).resolves.toBe("two");
});

test.for(["", "\n"])("a file that never held a token (%j) is a fault of the configuration", async (text) => {
  await using directory = await temporaryDirectory();
  const path = directory.join("token");
  await expect(tokenFile(path)()).rejects.toMatchObject({ code: "CLUSTER_CONFIG", details: { where: path } });
  await writeFile(path, text);
  await expect(tokenFile(path)()).rejects.toMatchObject({ code: "CLUSTER_CONFIG", details: { where: path } });
});
