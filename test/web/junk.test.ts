import { describe, expect, test } from "vitest";

import type { DaemonEvent } from "../../src/daemon/records/record-types.ts";
import type { MirrorStatus } from "../../src/daemon/view/view.ts";
import { ask } from "../support/ask.ts";
import { failure, finishedRun, freshMirror, tagRecord } from "../support/view.ts";
import { openTestWeb, type TestWeb } from "../support/web.ts";

/** Invalid data that another program wrote to Redis. */
const JUNK: readonly unknown[] = [
  undefined,
  null,
  0,
  -1,
  Number.NaN,
  1e300,
  "",
  "yesterday",
  "\u0000\u202e",
  "x".repeat(100_000),
  [],
  {},
  [null],
  true,
];

const MIRROR_KEYS = Object.keys(
  freshMirror("a", { failingSince: "", pausedAt: "", pausedBy: "", failure: failure(), reason: "" }),
).filter((key) => key !== "name");

async function read(web: TestWeb, path: string): Promise<string> {
  const { status, body } = await ask("GET", `${web.url}${path}`);
  expect(status, path).toBe(200);
  return body.toString();
}

const PATHS = ["/", "/mirrors/good", "/api/v1/mirrors", "/metrics"] as const;

describe("a record that makes no sense", () => {
  test.for(MIRROR_KEYS)(
    "in %s of a mirror leaves page, API and metrics of the others as they are",
    async (key) => {
      await using web = await openTestWeb();
      web.view.set(freshMirror("good"));
      for (const junk of JUNK) {
        web.view.set(freshMirror("bad", { [key]: junk }));
        for (const path of PATHS) expect(await read(web, path), `${key} ${String(junk)}`).toContain("good");
        expect(await read(web, "/metrics")).toContain('tagferry_mirror_state{mirror="good",state="fresh"} 1');
        expect(await read(web, "/mirrors/bad")).toContain("<h1>");
      }
    },
  );

  test.for(Object.keys(tagRecord("1", { failure: failure() })))(
    "in %s of a tag leaves the other tags as they are",
    async (key) => {
      await using web = await openTestWeb();
      for (const junk of JUNK) {
        const bad = { ...tagRecord("2.0"), [key]: junk };
        web.view.set(freshMirror("a", { failedTags: 1 }), { tags: [tagRecord("1.0"), bad] });
        const page = await read(web, "/mirrors/a");
        expect(page, String(junk)).toContain('id="t-1.0"');
        await read(web, "/");
      }
    },
  );

  test.for(Object.keys(finishedRun("a", { failure: failure() })))(
    "in %s of a run leaves the other runs as they are",
    async (key) => {
      await using web = await openTestWeb();
      for (const junk of JUNK) {
        const bad = { ...finishedRun("a"), [key]: junk };
        web.view.set(freshMirror("a"), { runs: [bad, finishedRun("a", { state: "partial" })] });
        expect(await read(web, "/mirrors/a"), String(junk)).toContain("is-partial");
      }
    },
  );

  test("shows as such", async () => {
    await using web = await openTestWeb();
    web.view.set({ ...freshMirror("bad"), quarantined: 7, recent: null } as unknown as MirrorStatus);
    expect(await read(web, "/")).toContain("bad cannot be shown");
  });
});

describe("records that cannot be read", () => {
  test("are no empty list: the metrics say that they are missing", async () => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("a"));
    expect(await read(web, "/metrics")).toMatch(/tagferry_mirrors_read_ok 1\n/);
    web.view.fail(new Error("broken"));
    const metrics = await read(web, "/metrics");
    expect(metrics).toMatch(/tagferry_mirrors_read_ok 0\n/);
    expect(metrics).not.toContain("tagferry_mirror_lateness_seconds{");
  });
});

test("a message that is no event is sent to no page", async () => {
  await using web = await openTestWeb();
  const { body } = await fetch(`${web.url}/api/v1/events`);
  await web.view.watched(1);
  for (const kind of ["x\nevent: config\ndata: {}", "", 7, null])
    web.view.emit({ kind } as unknown as DaemonEvent);
  web.view.emit({ kind: "config", ok: true });
  let text = "";
  for await (const chunk of body ?? []) {
    text += Buffer.from(chunk).toString();
    if (text.includes("event: ")) break;
  }
  expect(text.split("event: ").slice(1)).toEqual(['config\ndata: {"kind":"config","ok":true}\n\n']);
});

describe("the page says why", () => {
  test("a mirror fails or waits", async () => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("a", { state: "failing", reason: "quay.io does not answer: `ECONNREFUSED`" }));
    expect(await read(web, "/")).toContain("quay.io does not answer: `ECONNREFUSED`</span>");
    expect(await read(web, "/mirrors/a")).toMatch(
      /Why<\/span>\s*quay\.io does not answer: <code>ECONNREFUSED/,
    );
  });

  test("nothing is asked of a registry", async () => {
    await using web = await openTestWeb();
    const until = new Date(Date.now() + 600_000).toISOString();
    web.view.setHealth({
      rateLimits: [
        { registry: "docker.io", connections: 6, inUse: 0, pausedUntil: until },
        { registry: "quay.io", connections: 6, inUse: 0, unresponsiveUntil: until },
        { registry: "ghcr.io", connections: 6, inUse: 0 },
      ],
    });
    expect(await read(web, "/")).toMatch(
      /docker\.io<[^]*paused<\/span>[^]*next request <time[^]*quay\.io<[^]*does not answer<[^]*next try <time[^]*ghcr\.io<[^]*ready</,
    );
  });
});
