import { appendFile, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

import { pino } from "pino";
import { describe, expect, test } from "vitest";

import { fileStateStore } from "../../../src/daemon/state/file.ts";
import type { StateStore } from "../../../src/daemon/state/state-store.ts";
import { startDaemonProcess } from "../../support/daemon-process.ts";
import { openDaemonScene, until } from "../../support/daemon-scene.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";
import { SILENT } from "../../support/registry/client.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

type Place = AsyncDisposable & { readonly path: string; open(): Promise<StateStore & AsyncDisposable> };

async function openPlace(): Promise<Place> {
  const directory = await temporaryDirectory();
  const path = directory.join("state/store.jsonl");
  return {
    path,
    open: () => fileStateStore(path, { log: SILENT }),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

/** The content that the next process finds in this file. The first store is never closed, as after a SIGKILL. */
async function found(at: Place, place: string): Promise<Record<string, string>> {
  await using store = await at.open();
  return Object.fromEntries(await store.all(place));
}

describe("a store in a file", () => {
  test("follows no link, and leaves no temporary file that others can foresee", async () => {
    await using place = await openPlace();
    await mkdir(dirname(place.path));
    const victim = `${place.path}.victim`;
    await writeFile(victim, "precious");
    // the name of the temporary file in earlier versions
    await symlink(victim, `${place.path}.new`);
    {
      await using store = await place.open();
      await store.set("mirror:a", { pausedBy: "me" });
    }
    expect(await readFile(victim, "utf8")).toBe("precious");
    expect((await readdir(dirname(place.path))).length).toBe(3);
    const linked = `${place.path}.link`;
    await symlink(victim, linked);
    await expect(fileStateStore(linked, { log: SILENT })).rejects.toMatchObject({ code: "DISK" });
  });

  test("keeps what was put, added and removed for the next process, without being closed", async () => {
    await using place = await openPlace();
    const store = await place.open();
    await store.set("mirror:a", { pausedAt: "2026-01-01", pausedBy: "you\nand me" });
    await store.set("mirror:b", { pausedAt: "2026-01-01" });
    await store.add("begun:x", "count", 1);
    await store.add("begun:x", "count", 1);
    await store.remove("mirror:a", ["pausedAt"]);
    await store.remove("mirror:b");
    expect(await found(place, "mirror:a")).toEqual({ pausedBy: "you\nand me" });
    expect(await found(place, "mirror:b")).toEqual({});
    expect(await found(place, "begun:x")).toEqual({ count: "2" });
    await store[Symbol.asyncDispose]();
  });

  test("forgets at its time, however often it is opened in between", async () => {
    await using place = await openPlace();
    await using store = await place.open();
    await store.set("run:1", { head: "long" }, { ttlMs: 60_000 });
    await store.set("run:2", { head: "short" }, { ttlMs: 40 });
    expect(await found(place, "run:1")).toEqual({ head: "long" });
    await until(async () => Object.keys(await found(place, "run:2")).length === 0);
    expect(await found(place, "run:1")).toEqual({ head: "long" });
  });

  test("passes over half a line, which a killed process leaves", async () => {
    await using place = await openPlace();
    const store = await place.open();
    await store.set("mirror:a", { pausedAt: "2026-01-01" });
    await store[Symbol.asyncDispose]();
    await appendFile(place.path, '{"kind":"put","place":"mirror:b","fie');
    const lines: string[] = [];
    const log = pino({ base: null }, { write: (line: string) => void lines.push(line) });
    await using again = await fileStateStore(place.path, { log });
    expect(await again.get("mirror:a", "pausedAt")).toBe("2026-01-01");
    expect(lines.join("")).toContain("lines that cannot be read");
    await again.set("mirror:b", { pausedAt: "2026-01-02" });
    expect(await found(place, "mirror:b")).toEqual({ pausedAt: "2026-01-02" });
  });

  test("grows no further than it has to", async () => {
    await using place = await openPlace();
    await using store = await place.open();
    const text = "x".repeat(1_000);
    for (let count = 0; count < 3_000; count += 1) await store.set("tags:a", { latest: `${count} ${text}` });
    expect((await stat(place.path)).size).toBeLessThan(1.1 * 1024 * 1024);
    expect((await store.get("tags:a", "latest"))?.slice(0, 5)).toBe("2999 ");
    expect((await found(place, "tags:a"))["latest"]?.slice(0, 5)).toBe("2999 ");
  });

  test("takes many changes at once, in their order", async () => {
    await using place = await openPlace();
    await using store = await place.open();
    await Promise.all(
      Array.from({ length: 500 }, (_, count) =>
        store.set("tags:a", { last: String(count), [`tag${count}`]: "x" }),
      ),
    );
    const kept = await found(place, "tags:a");
    expect(Object.keys(kept)).toHaveLength(501);
    expect(kept["last"]).toBe("499");
  });

  test("is nobody else's to read, and keeps no progress", async () => {
    await using place = await openPlace();
    await using store = await place.open();
    await store.set("progress", { "app:1": "{}" });
    expect((await stat(place.path)).mode & 0o777).toBe(0o600);
    expect(await readFile(place.path, "utf8")).not.toContain("progress");
  });

  test("says so when its file cannot be begun", async () => {
    await using place = await openPlace();
    await writeFile(place.path.replace("/state/store.jsonl", "/state"), "a file, no directory");
    await expect(place.open()).rejects.toMatchObject({ code: "DISK", details: { where: place.path } });
    const nowhere = fileStateStore("/proc/nothing/store.jsonl", { log: SILENT });
    await expect(nowhere).rejects.toMatchObject({ code: "DISK", details: { found: "ENOENT" } });
  });
});

describe("a daemon with a state file", () => {
  const REPOSITORY = "library/app";

  test("knows after a restart what was paused, and what its tags were", async () => {
    await using directory = await temporaryDirectory();
    await using scene = await openDaemonScene();
    const image = await pushTo(
      scene.source,
      REPOSITORY,
      buildImage({ seed: "one", layers: [500] }),
      "latest",
    );
    const mirror = {
      name: "app",
      source: `${scene.source.host}/${REPOSITORY}`,
      target: "imagestream:web/app",
      tags: { all: true },
      schedule: "0 0 1 1 *",
    };
    await scene.configure([mirror], { daemon: { stateFile: directory.join("state.jsonl") } });
    const first = await scene.start();
    await until(async () => (await first.view.mirrors())[0]?.state === "fresh");
    await first.view.pause("app", "a test");
    await first.stop({ signal: AbortSignal.timeout(2_000) });
    scene.source.ledger.clear();
    const { view } = await scene.start();
    expect((await view.mirrors())[0]).toMatchObject({ state: "paused", pausedBy: "a test" });
    expect((await view.mirror("app"))?.tags).toMatchObject([
      { tag: "latest", digest: image.manifest.digest },
    ]);
    expect((await view.runs()).map(({ state }) => state)).toEqual(["done"]);
    // a new process does not repeat a check that was done in time
    expect(scene.source.ledger.entries).toEqual([]);
  });

  test("goes on at once with what its predecessor was killed at, and after three deaths leaves it alone", async () => {
    await using directory = await temporaryDirectory();
    await using scene = await openDaemonScene();
    const poison = buildImage({ seed: "poison", layers: [200_000] });
    await pushTo(scene.source, REPOSITORY, poison, "poison");
    await pushTo(scene.source, REPOSITORY, buildImage({ seed: "good", layers: [500] }), "good");
    const mirror = {
      name: "app",
      source: `${scene.source.host}/${REPOSITORY}`,
      target: "imagestream:web/app",
      tags: { all: true },
      schedule: "0 0 1 1 *",
    };
    await scene.configure([mirror], { daemon: { stateFile: directory.join("state.jsonl") } });
    const goodIsThere = (): boolean =>
      scene.cluster.stream("web", "app")?.status?.tags?.some(({ tag }) => tag === "good") === true;
    const pulling = { method: "GET", path: new RegExp(`/manifests/${poison.manifest.digest}`) };
    for (let death = 1; death <= 3; death += 1) {
      const begun = scene.source.gate(pulling);
      const daemon = await startDaemonProcess({ file: scene.file, schedules: true });
      const held = await begun;
      await until(goodIsThere);
      await daemon.kill();
      held.reset();
    }
    await using daemon = await startDaemonProcess({ file: scene.file, schedules: true });
    await until(() => daemon.log().includes("QUARANTINED"));
    expect(scene.source.ledger.count(pulling)).toBe(3);
    expect(goodIsThere()).toBe(true);
  });
});
