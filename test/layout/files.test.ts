import { execFileSync } from "node:child_process";
import { open, readdir, readFile, writeFile } from "node:fs/promises";

import { describe, expect, test } from "vitest";

import { errnoOf, onDisk } from "../../src/errors/disk.ts";
import { ifThere, replaceFile, writeAll } from "../../src/layout/files.ts";
import { openLayout } from "../../src/layout/layout.ts";
import { verified } from "../../src/oci/verified.ts";
import { seededBytes } from "../support/images/content.ts";
import { buildImage } from "../support/images/images.ts";
import { describing, pushBuilt, readAll, reusing } from "../support/port.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const CHILD = new URL("../support/layout-child.ts", import.meta.url).pathname;

/** Whether a small file system can be mounted here. */
const canMount = ((): boolean => {
  try {
    execFileSync("unshare", ["-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"], {
      stdio: "ignore",
    });
    return true;
  } catch {
    return false;
  }
})();

describe("onDisk", () => {
  test("names a full disk, with the path and the space that is left", async () => {
    const file = await open("/dev/full", "w");
    const writing = onDisk("/dev/full", () => writeAll(file, Buffer.from("x")));
    await expect(writing).rejects.toMatchObject({
      code: "DISK_FULL",
      details: { where: "/dev/full", found: expect.stringMatching(/^\d+ bytes free$/) },
    });
    await file.close();
  });

  test("names every other refusal of the disk by its code", async () => {
    const writing = onDisk("/proc/nothing", () => writeFile("/proc/nothing", "x"));
    await expect(writing).rejects.toMatchObject({
      code: "DISK",
      details: { where: "/proc/nothing", found: "ENOENT" },
    });
  });

  test("leaves alone what the disk did not refuse", async () => {
    const bug = new TypeError("undefined is not a function");
    await expect(onDisk("/x", () => Promise.reject(bug))).rejects.toBe(bug);
    expect(errnoOf(bug)).toBeUndefined();
  });
});

test("ifThere takes absence for an answer, and nothing else", async () => {
  await using directory = await temporaryDirectory();
  expect(await ifThere(() => readFile(directory.join("absent")))).toBeUndefined();
  await expect(ifThere(() => readFile(directory.path))).rejects.toMatchObject({ code: "EISDIR" });
});

test("replaceFile replaces a file, also a longer one", async () => {
  await using directory = await temporaryDirectory();
  await writeFile(directory.join("file"), "a long text that was there before");
  await replaceFile(directory.join("file"), Buffer.from("short"), directory.join("tmp"));
  expect(await readFile(directory.join("file"), "utf8")).toBe("short");
  expect(await readdir(directory.path)).toEqual(["file"]);
});

test("a layout whose blobs cannot be written says where", async () => {
  await using directory = await temporaryDirectory();
  {
    await using layout = await openLayout(directory.join("layout"), { create: true });
    await pushBuilt(layout, buildImage(), "v1");
  }
  await writeFile(directory.join("layout", "blobs", "sha512"), "in the way");
  await using layout = await openLayout(directory.join("layout"));
  const bytes = seededBytes("blocked", 100);
  const blob = { ...describing(bytes), digest: `sha512:${"0".repeat(128)}` } as const;
  await expect(layout.pushBlob(blob, () => reusing(bytes))).rejects.toMatchObject({
    code: "DISK",
    details: { where: expect.stringContaining("sha512") },
  });
});

// needs the right to mount, which some containers withhold
test.skipIf(!canMount)("a full disk leaves whole tags, no half files, and a clear word", async () => {
  await using directory = await temporaryDirectory();
  const script = [
    'mount -t tmpfs -o size=1500k none "$0"',
    '"$1" "$2" "$0/layout" 90000',
    'cp -r "$0/layout" "$3"',
  ].join(" && ");
  const [mounted, copy] = [directory.join("small"), directory.join("copy")];
  const printed = execFileSync(
    "unshare",
    ["-rm", "sh", "-c", `mkdir "$0" && ${script}`, mounted, process.execPath, CHILD, copy],
    { encoding: "utf8" },
  );
  const lines = printed.trim().split("\n");
  expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({
    code: "DISK_FULL",
    details: { where: expect.stringContaining(mounted), found: expect.stringMatching(/bytes free/) },
  });
  await using layout = await openLayout(copy);
  const listed = await Array.fromAsync(layout.listing());
  expect(listed.map(({ tag }) => tag)).toEqual(lines.slice(0, -1).map((line) => line.split(" ")[0]));
  expect(listed.length).toBeGreaterThan(3);
  for (const { tag } of listed) {
    const { blobs } = await layout.manifest(tag);
    for (const blob of blobs) await readAll(verified(layout.blob(blob), blob));
  }
  expect((await readdir(copy)).toSorted()).toEqual(["blobs", "index.json", "oci-layout"]);
});
