import { describe, expect, test } from "vitest";

import { ask } from "../../support/ask.ts";
import { ago, failure, finishedRun, freshMirror, runMark, tagRecord } from "../../support/view.ts";
import { openTestWeb, type TestWeb } from "../../support/web.ts";

async function read(web: TestWeb, path: string): Promise<string> {
  const { status, headers, body } = await ask("GET", `${web.url}${path}`, {
    headers: { accept: "text/html" },
  });
  expect([status, headers["content-type"]]).toEqual([200, "text/html; charset=UTF-8"]);
  return body.toString();
}

const count = (text: string, part: string): number => text.split(part).length - 1;

/** The names in the rows, in their order. */
const rowsOf = (page: string): readonly string[] =>
  [...page.matchAll(/<tr id="m-([^"]*)"/g)].map(([, name = ""]) => name);

/** Mirrors of four namespaces and two registries. */
function setMany({ view }: TestWeb, total: number): void {
  for (let index = 0; index < total; index += 1)
    view.set(
      freshMirror(`m${index}`, {
        source: `${index % 2 === 0 ? "quay.io" : "docker.io"}/acme/m${index}`,
        registry: index % 2 === 0 ? "quay.io" : "docker.io",
        namespace: `team-${index % 4}`,
        labels: { tier: index % 10 === 0 ? "gold" : "silver" },
        state: index % 50 === 7 ? "failing" : "fresh",
        recent: Array.from({ length: 20 }, () => runMark()),
      }),
    );
}

describe("a large page", () => {
  test("shows ten thousand tags in pages, in the order of versions", async () => {
    await using web = await openTestWeb();
    const tags = Array.from({ length: 10_000 }, (_, index) => tagRecord(`1.${index}`));
    web.view.set(freshMirror("a"), { tags });
    const first = await read(web, "/mirrors/a");
    expect(count(first, '<tr id="t-')).toBe(200);
    expect(first).toMatch(
      /<h2 id="tags">10,000 tags<\/h2>[^]*id="t-1.9999"[^]*id="t-1.9998"[^]*Page 1 of 50/,
    );
    expect(first.length).toBeLessThan(600_000);
    const last = await read(web, "/mirrors/a?page=50");
    expect(last).toContain('<tr id="t-1.0"');
    expect(last).not.toContain('rel="next"');
  });

  test("shows 500 mirrors in rows of less than 3 KB, with a strip of few elements each", async () => {
    await using web = await openTestWeb();
    setMany(web, 500);
    const page = await read(web, "/?rows=500");
    expect(rowsOf(page)).toHaveLength(500);
    expect(page.length / 500).toBeLessThan(3_000);
    expect(count(page, "<path ")).toBe(500);
    expect(count(page, "<") / 500).toBeLessThan(60);
  });

  test("shows a thousand mirrors in pages, and those of one state", async () => {
    await using web = await openTestWeb();
    setMany(web, 1_000);
    const all = await read(web, "/?page=2&sort=name");
    expect(rowsOf(all)).toEqual(Array.from({ length: 100 }, (_, index) => `m${100 + index}`));
    expect(all).toMatch(/20 of 1,000 mirrors need attention[^]*Page 2 of 10/);
    const failing = await read(web, "/?state=failing");
    expect(rowsOf(failing)).toHaveLength(20);
    expect(await read(web, "/?state=fresh&rows=50")).toContain('href="/?state=fresh&amp;rows=50&amp;page=2"');
  });
});

describe("the list of mirrors", () => {
  test("begins with those that need attention", async () => {
    await using web = await openTestWeb();
    for (const state of [
      "fresh",
      "paused",
      "waiting",
      "running",
      "empty",
      "late",
      "quarantined",
      "failing",
    ] as const)
      web.view.set(freshMirror(state, { state }));
    web.view.set(freshMirror("busy", { state: "running", states: ["running", "late"] }));
    const page = await read(web, "/");
    expect(rowsOf(page)).toEqual([
      "failing",
      "quarantined",
      "busy",
      "late",
      "empty",
      "running",
      "waiting",
      "paused",
      "fresh",
    ]);
    expect(page).toContain("5 of 9 mirrors need attention");
  });

  test("is searched by words of name, source, target and label, and filtered by namespace and label", async () => {
    await using web = await openTestWeb();
    setMany(web, 100);
    expect(rowsOf(await read(web, "/?q=M42+quay"))).toEqual(["m42"]);
    expect(rowsOf(await read(web, "/?q=m42+docker"))).toEqual([]);
    expect(rowsOf(await read(web, "/?label=tier%3Dgold"))).toHaveLength(10);
    expect(rowsOf(await read(web, "/?label=tier%3Dgold&namespace=team-2"))).toEqual([
      "m10",
      "m30",
      "m50",
      "m70",
      "m90",
    ]);
    const none = await read(web, "/?q=nothing");
    expect(none).toMatch(/No mirror fits[^]*<a href="\/">Show all 100/);
    expect(none).toMatch(/aria-current="page"\s*>all <b>0</);
  });

  test("is sorted by what a column shows", async () => {
    await using web = await openTestWeb();
    web.view.set(
      freshMirror("a10", { tags: 3, lastRunAt: ago(10), lastSuccessAt: ago(500), nextRunAt: ago(-90) }),
    );
    web.view.set(
      freshMirror("a9", { tags: 9, lastRunAt: ago(20), lastSuccessAt: ago(20), nextRunAt: ago(-60) }),
    );
    const first = async (sort: string): Promise<string | undefined> =>
      rowsOf(await read(web, `/?sort=${sort}`))[0];
    expect([await first("name"), await first("tags"), await first("last")]).toEqual(["a9", "a9", "a10"]);
    expect([await first("fresh"), await first("next")]).toEqual(["a10", "a9"]);
    expect(await read(web, "/?sort=tags")).toMatch(/aria-sort="ascending"\s*>\s*<a href="\/\?sort=tags"/);
  });

  test("is grouped by namespace or registry, with the number of mirrors in trouble", async () => {
    await using web = await openTestWeb();
    setMany(web, 100);
    const page = await read(web, "/?group=registry");
    expect(count(page, '<tr class="group">')).toBe(2);
    expect(page).toMatch(
      /docker\.io\s*<span[^>]*>50 mirrors, 2 in trouble<[^]*quay\.io\s*<span[^>]*>50 mirrors</,
    );
    expect(count(await read(web, "/?group=namespace"), '<tr class="group">')).toBe(4);
  });

  test.for(["state=x", "sort=x", "group=x", "rows=1", "page=0"])(
    "does not guess what ?%s means",
    async (query) => {
      await using web = await openTestWeb();
      const { status, body } = await ask("GET", `${web.url}/?${query}`, { headers: { accept: "text/html" } });
      expect([status, body.toString()]).toEqual([400, expect.stringContaining("WEB_REQUEST")]);
    },
  );

  test("says in one line what is wrong with each mirror", async () => {
    await using web = await openTestWeb();
    const failed = failure({ message: "quay.io does not answer" });
    const retrying = { failure: failed, attempt: 2, at: ago(3), nextAt: ago(-60) };
    web.view.set(freshMirror("a", { state: "failing", failure: failed, retrying }));
    const empty = failure({ code: "FILTER_EMPTY", message: "mirror b selects none of 7 tags" });
    web.view.set(freshMirror("b", { state: "empty", recent: [runMark({ warnings: [empty] })] }));
    web.view.set(freshMirror("c", { state: "late", latenessS: 3_700 }));
    web.view.set(freshMirror("d", { state: "failing", failedTags: 4 }));
    web.view.set(freshMirror("e", { state: "paused", pausedAt: ago(7_200), pausedBy: "alice" }));
    const page = await read(web, "/");
    expect(page).toMatch(/quay\.io does not answer; attempt 2 failed, the next one is in \d+ s/);
    for (const text of [
      "mirror b selects none of 7 tags",
      "due 62 min ago, and no run has ended since",
      "4 tags failed",
      "paused 2 h ago by alice",
    ])
      expect(page).toContain(`title="${text}"`);
    expect(page).toContain("<title>(2) Mirrors");
  });
});

describe("the first page", () => {
  test("says what to do when there is no mirror", async () => {
    await using web = await openTestWeb();
    expect(await read(web, "/")).toMatch(/No mirrors yet[^]*mirrors:/);
  });

  test("shows times in the zone of the schedule, and what a schedule lacks in words", async () => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("a", { nextRunAt: "2099-07-01T10:00:00.000Z" }));
    const { schedule: _, nextRunAt: __, lastRunAt: ___, ...bare } = freshMirror("b");
    web.view.set(bare);
    const page = await read(web, "/");
    expect(page).toMatch(/1 Jul 2099, 12:00 (?:CEST|GMT\+2)/);
    expect(page).toMatch(/id="m-b"[^]*never[^]*when asked/);
  });

  test("shows bytes and freshness of the last 24 hours, one bar for each hour with work", async () => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("a"));
    expect(await read(web, "/")).toContain("nothing was published");
    const quiet = { from: "2026-11-24T00:00:00.000Z", bytes: 0, published: 0 };
    const busy = { ...quiet, bytes: 3_145_728, published: 4, freshnessMs: 120_000 };
    web.view.day = async () => [
      ...Array.from({ length: 22 }, () => quiet),
      busy,
      { ...busy, bytes: 1_048_576 },
    ];
    const page = await read(web, "/");
    expect(page).toMatch(/8 tags, 4\.0 MiB[^]*At most 3\.0 MiB in an hour[^]*at most 2 min/);
    const [, shape = ""] = /class="is-work" d="([^"]*)"/.exec(page) ?? [];
    expect(shape).toBe("M132 28v-28h5v28zM138 28v-9h5v9z");
  });

  test("lists each line of a configuration that is broken", async () => {
    await using web = await openTestWeb();
    const { config } = await web.view.health();
    const problem = {
      where: "tagferry.yaml:12:5",
      code: "CONFIG_UNKNOWN_KEY",
      message: '"shedule" is no key',
    };
    const broken = failure({
      code: "CONFIG_INVALID",
      details: { problems: [problem, { ...problem, where: "tagferry.yaml:31:9" }, 7] },
    });
    web.view.setHealth({ config: { ...config, failure: broken } });
    expect(await read(web, "/")).toMatch(
      /<ol class="problems">[^]*tagferry\.yaml:12:5<[^]*CONFIG_UNKNOWN_KEY<[^]*&quot;shedule&quot; is no key[^]*tagferry\.yaml:31:9/,
    );
  });
});

const form = (web: TestWeb, path: string, fields: readonly (readonly [string, string])[], accept: string) =>
  ask("POST", `${web.url}${path}`, {
    headers: { origin: web.url, accept, "content-type": "application/x-www-form-urlencoded" },
    body: fields.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&"),
  });

describe("acting on many mirrors", () => {
  test.for(["sync", "pause", "resume"] as const)("%s reaches each that is ticked, once", async (action) => {
    await using web = await openTestWeb();
    for (const name of ["a", "b", "c"]) web.view.set(freshMirror(name));
    const ticked = ["a", "c", "a", "gone"].map((name) => ["mirror", name] as const);
    const { status, body } = await form(web, `/bulk/${action}`, ticked, "application/json");
    const result = { sync: "queued", pause: "paused", resume: "resumed" }[action];
    expect([status, JSON.parse(body.toString())]).toEqual([
      200,
      {
        results: [
          { mirror: "a", result },
          { mirror: "c", result },
          { mirror: "gone", result: "unknown" },
        ],
      },
    ]);
    expect(web.view.asked.map((asked) => ("mirror" in asked ? asked.mirror : ""))).toEqual([
      "a",
      "c",
      "gone",
    ]);
  });

  test("leads back to the same list without a script, and nowhere else", async () => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("a"));
    const back = async (to: string): Promise<string | undefined> =>
      (
        await form(
          web,
          "/bulk/sync",
          [
            ["mirror", "a"],
            ["back", to],
          ],
          "text/html",
        )
      ).headers.location;
    expect(await back("/?state=late&q=a%20b&page=2")).toBe("/?state=late&q=a%20b&page=2");
    for (const elsewhere of [
      "//evil.example",
      "/\\evil.example",
      "https://evil.example/",
      "/?a\r\nb",
      "/?//<x>",
    ])
      expect(await back(elsewhere)).toBe("/");
  });
});

describe("the page of a mirror", () => {
  test("groups failures by cause, with what was found and what to do", async () => {
    await using web = await openTestWeb();
    const gone = failure({ code: "BLOB_UNKNOWN", next: "Push it again.", details: { found: "404" } });
    const tags = [
      ...Array.from({ length: 14 }, (_, index) => tagRecord(`1.${index}`, { failure: gone, last: "failed" })),
      tagRecord("2.0", { failure: failure(), last: "failed" }),
    ];
    web.view.set(freshMirror("a", { state: "failing", failedTags: 15, tags: 15 }), { tags });
    const page = await read(web, "/mirrors/a");
    expect(count(page, 'class="failure is-bad"')).toBe(2);
    expect(page).toMatch(
      /14 tags failed for one reason[^]*1\.11<[^]*and 2 more[^]*Found<\/span> <code>404[^]*Push it again/,
    );
    const failed = await read(web, "/mirrors/a?only=failed&q=2.");
    expect(count(failed, '<tr id="t-')).toBe(1);
  });

  test("shows the run under way above its tags: how many, bytes, rate and rest", async () => {
    await using web = await openTestWeb();
    const moved = {
      bytes: 2_097_152,
      blobs: { pushed: 1, mounted: 0, present: 0 },
      manifests: 1,
      referrers: 0,
      notCarried: 0,
    };
    const { finishedAt: _, ...open } = finishedRun("a", {
      id: "a@1",
      state: "running",
      startedAt: ago(220),
      expected: 500,
      outcomes: Array.from({ length: 220 }, (__, index) => ({
        kind: "copied" as const,
        digest: tagRecord("x").digest ?? "sha256:0",
        mirror: "a",
        tag: `1.${index}`,
        moved,
      })),
    });
    web.view.set(freshMirror("a", { state: "running" }), { runs: [open], tags: [tagRecord("1.0")] });
    const page = await read(web, "/mirrors/a");
    expect(page).toMatch(/220 of 500<\/b> tags\s*· 440 MiB · 2\.0 MiB\/s\s*· about 5 min left/);
    expect(page.indexOf('id="runs"')).toBeLessThan(page.indexOf('id="tags"'));
  });

  test("shows what is known of each tag: source, pull spec, size, platforms, signatures, since when", async () => {
    await using web = await openTestWeb();
    const image = {
      bytes: 29_000_000,
      platforms: ["linux/amd64", "linux/arm64/v8", "linux/s390x"],
      referrers: 2,
    };
    const { publishedAt: _, ...found } = tagRecord("1.9");
    web.view.set(freshMirror("a"), { tags: [tagRecord("1.10", { image }), found, tagRecord("latest")] });
    const page = await read(web, "/mirrors/a");
    expect(page).toMatch(/id="t-latest"[^]*id="t-1\.10"[^]*id="t-1\.9"/);
    const row = page.slice(page.indexOf('id="t-1.10"'), page.indexOf('id="t-1.9"'));
    for (const text of [
      "from quay.io/acme/a:1.10",
      "image-registry.openshift-image-registry.svc:5000/web/a:1.10",
      "27.7 MiB",
      "amd64, arm64/v8 +1",
      ">2<",
    ])
      expect(row).toContain(text);
    expect(page.slice(page.indexOf('id="t-1.9"'))).toMatch(/before<\/span>\s*<time[^>]*>40 days ago/);
  });

  test("that is not there is a page that says so", async () => {
    await using web = await openTestWeb();
    const { status, body } = await ask("GET", `${web.url}/mirrors/x%3Cscript%3E`, {
      headers: { accept: "text/html" },
    });
    expect(status).toBe(404);
    expect(body.toString()).toMatch(/Not found[^]*x&lt;script&gt;[^]*All mirrors/);
    expect(body.toString()).not.toContain("<script>");
  });
});

describe("the page of a run", () => {
  test("shows what became of each tag, failures first", async () => {
    await using web = await openTestWeb();
    const digest = tagRecord("x").digest ?? "sha256:0";
    const run = finishedRun("a", {
      id: "a@2026-11-24T10:00:00.000Z",
      state: "partial",
      outcomes: [
        { kind: "unchanged", mirror: "a", tag: "1.0", digest },
        { kind: "failed", mirror: "a", tag: "1.1", failure: failure() },
      ],
    });
    web.view.set(freshMirror("a"), { runs: [run] });
    const href = "/mirrors/a/runs/a%402026-11-24T10%3A00%3A00.000Z";
    expect(await read(web, "/mirrors/a")).toContain(`href="${href}"`);
    expect(await read(web, href)).toMatch(
      /is-partial[^]*1 failed, 1 unchanged[^]*2 tags[^]*>1\.1<[^]*failed<[^]*RATE_LIMITED[^]*>1\.0<[^]*unchanged</,
    );
    expect((await ask("GET", `${web.url}/mirrors/a/runs/x`)).status).toBe(404);
  });
});
