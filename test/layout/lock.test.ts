import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import { openLayout } from "../../src/layout/layout.ts";
import { takeLock } from "../../src/layout/lock.ts";
import { isDigest } from "../../src/oci/digest.ts";
import { verified } from "../../src/oci/verified.ts";
import { until } from "../support/daemon-scene.ts";
import { buildImage } from "../support/images/images.ts";
import { describing, pushBuilt, readAll } from "../support/port.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary.ts";

const CHILD = new URL("../support/layout-child.ts", import.meta.url).pathname;

async function writeOwner(directory: TemporaryDirectory, owner: unknown): Promise<void> {
  await mkdir(directory.join(".tagferry", "lock"), { recursive: true });
  const text = typeof owner === "string" ? owner : JSON.stringify(owner);
  await writeFile(directory.join(".tagferry", "lock", "somebody.json"), text);
}

/** The number of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  await once(child, "exit");
  return child.pid ?? 0;
}

describe("the lock of a layout", () => {
  test("is one writer's at a time, and no reader's", async () => {
    await using directory = await temporaryDirectory();
    const path = directory.join("layout");
    const [one, other] = [buildImage({ seed: "one" }), buildImage({ seed: "other" })];
    await using first = await openLayout(path, { create: true });
    await pushBuilt(first, one, "one");
    {
      await using second = await openLayout(path, { create: true });
      expect(await second.resolve("one")).toMatchObject({ digest: one.manifest.digest });
      await expect(pushBuilt(second, other, "other")).rejects.toMatchObject({
        code: "LAYOUT_LOCKED",
        details: { next: expect.stringContaining(".tagferry/lock") },
      });
    }
    await pushBuilt(first, one, "again");
    await first[Symbol.asyncDispose]();
    await using third = await openLayout(path);
    await pushBuilt(third, other, "other");
    // closing twice is the same as closing once, and a later write locks again
    await first[Symbol.asyncDispose]();
    await expect(pushBuilt(first, one, "late")).rejects.toMatchObject({ code: "LAYOUT_LOCKED" });
  });

  test("may be tried for again by who did not get it", async () => {
    await using directory = await temporaryDirectory();
    await using waiting = await openLayout(directory.join("layout"), { create: true });
    {
      await using holder = await openLayout(directory.join("layout"), { create: true });
      await pushBuilt(holder, buildImage(), "v1");
      await expect(pushBuilt(waiting, buildImage(), "v2")).rejects.toMatchObject({ code: "LAYOUT_LOCKED" });
    }
    await pushBuilt(waiting, buildImage(), "v2");
    expect((await Array.fromAsync(waiting.listing())).map(({ tag }) => tag)).toEqual(["v1", "v2"]);
  });

  test("is given back after a rest, and what was written meanwhile is found by other tools", async () => {
    await using directory = await temporaryDirectory();
    const path = directory.join("layout");
    await using first = await openLayout(path, { create: true, turns: { idleMs: 20, patienceMs: 0 } });
    await using second = await openLayout(path, { create: true, turns: { idleMs: 20, patienceMs: 0 } });
    const [one, other] = [buildImage({ seed: "one" }), buildImage({ seed: "other" })];
    const free = async (): Promise<boolean> => !(await readdir(path)).includes(".tagferry");
    await pushBuilt(first, one);
    await until(free);
    // it has no tag, so the index lists it
    expect(await readFile(join(path, "index.json"), "utf8")).toContain(one.manifest.digest);
    await pushBuilt(second, other, "other");
    await until(free);
    await pushBuilt(first, one, "one");
    await until(free);
    await using reader = await openLayout(path);
    expect((await Array.fromAsync(reader.listing())).map(({ tag }) => tag)).toEqual(["other", "one"]);
  });

  test("is waited for by who has the patience", async () => {
    await using directory = await temporaryDirectory();
    const path = directory.join("layout");
    await using first = await openLayout(path, { create: true, turns: { idleMs: 100, patienceMs: 0 } });
    await using second = await openLayout(path, { create: true, turns: { idleMs: 100, patienceMs: 10_000 } });
    await pushBuilt(first, buildImage({ seed: "one" }), "one");
    await pushBuilt(second, buildImage({ seed: "other" }), "other");
    expect((await Array.fromAsync(second.listing())).map(({ tag }) => tag)).toEqual(["one", "other"]);
  });

  test("is not given back while anything is being written, however slowly", async () => {
    await using directory = await temporaryDirectory();
    const path = directory.join("layout");
    await using first = await openLayout(path, { create: true, turns: { idleMs: 10, patienceMs: 0 } });
    await using second = await openLayout(path, { create: true, turns: { idleMs: 10, patienceMs: 0 } });
    const bytes = Buffer.from("slowly");
    const begun = Promise.withResolvers<void>();
    const going = Promise.withResolvers<void>();
    const pushing = first.pushBlob(describing(bytes), async function* () {
      yield bytes.subarray(0, 3);
      begun.resolve();
      await going.promise;
      yield bytes.subarray(3);
    });
    await begun.promise;
    await delay(40);
    await expect(pushBuilt(second, buildImage(), "v1")).rejects.toMatchObject({ code: "LAYOUT_LOCKED" });
    going.resolve();
    expect(await pushing).toMatchObject({ how: "pushed" });
  });

  test("is taken over from a process that is no more", async () => {
    await using directory = await temporaryDirectory();
    await writeOwner(directory, { pid: await deadPid(), host: hostname() });
    await using lock = await takeLock(directory.path);
    const [owner = "", ...others] = await readdir(directory.join(".tagferry", "lock"));
    expect(others).toEqual([]);
    expect(await readFile(directory.join(".tagferry", "lock", owner), "utf8")).toContain(
      `"pid":${process.pid},`,
    );
    expect(lock.temporary()).not.toBe(lock.temporary());
  });

  test("is taken over from an earlier process of the same number", async () => {
    await using directory = await temporaryDirectory();
    await writeOwner(directory, { pid: process.pid, host: hostname(), start: "1" });
    await using lock = await takeLock(directory.path);
    expect(lock).toBeDefined();
  });

  test.for([
    ["another host, of whose processes nothing is known here", { pid: 2 ** 30, host: "elsewhere.example" }],
    ["a running process", { pid: process.ppid, host: hostname() }],
    ["an owner nobody understands", "not json"],
  ] as const)("stays with %s", async ([, owner]) => {
    await using directory = await temporaryDirectory();
    await writeOwner(directory, owner);
    await expect(takeLock(directory.path)).rejects.toMatchObject({ code: "LAYOUT_LOCKED" });
    expect(await readdir(directory.join(".tagferry"))).toEqual(["lock"]);
  });

  test("goes to one of many who want it at once", async () => {
    await using directory = await temporaryDirectory();
    await writeOwner(directory, { pid: await deadPid(), host: hostname() });
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => takeLock(directory.path)));
    const taken = tries.filter((attempt) => attempt.status === "fulfilled");
    expect(taken).toHaveLength(1);
    for (const { value } of taken) await value[Symbol.asyncDispose]();
    expect(await readdir(directory.path)).toEqual([]);
  });

  test("comes with a clean workspace", async () => {
    await using directory = await temporaryDirectory();
    await mkdir(directory.join(".tagferry", "asking-x"), { recursive: true });
    await utimes(directory.join(".tagferry", "asking-x"), 1, 1);
    await mkdir(directory.join(".tagferry", "asking-y"));
    await writeFile(directory.join(".tagferry", "tmp-x"), "half a blob");
    await writeFile(directory.join(".tagferry", "notes"), "not ours to remove");
    await using lock = await takeLock(directory.path);
    expect((await readdir(directory.join(".tagferry"))).toSorted()).toEqual(["asking-y", "lock", "notes"]);
    expect(lock).toBeDefined();
  });
});

test.for([1, 4, 9])(
  "a writer that is killed after %i tags leaves every tag whole, and the next one goes on",
  async (count) => {
    await using directory = await temporaryDirectory();
    const path = directory.join("layout");
    const child = spawn(process.execPath, [CHILD, path, "200000"], { stdio: ["ignore", "pipe", "inherit"] });
    const written: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      written.push(line);
      if (written.length === count) child.kill("SIGKILL");
    }
    await using layout = await openLayout(path);
    const listed = await Array.fromAsync(layout.listing());
    for (const line of written) {
      const [tag = "", digest] = line.split(" ");
      expect(await layout.resolve(tag)).toMatchObject({ digest });
    }
    for (const { tag } of listed) {
      const { blobs } = await layout.manifest(tag);
      for (const blob of blobs) await readAll(verified(layout.blob(blob), blob));
    }
    await pushBuilt(layout, buildImage(), "after");
    await layout[Symbol.asyncDispose]();
    expect((await readdir(path)).toSorted()).toEqual(["blobs", "index.json", "oci-layout"]);
    const names = await readdir(`${path}/blobs/sha256`);
    expect(names.filter((name) => !isDigest(`sha256:${name}`))).toEqual([]);
  },
);
