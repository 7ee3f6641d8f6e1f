import { describe, expect, test } from "vitest";

import { ask } from "../../support/ask.ts";
import { failure, freshMirror, tagRecord } from "../../support/view.ts";
import { openTestWeb, type TestWeb } from "../../support/web.ts";

async function read(web: TestWeb, path: string): Promise<string> {
  const { status, headers, body } = await ask("GET", `${web.url}${path}`, {
    headers: { accept: "text/html" },
  });
  expect([status, headers["content-type"]]).toEqual([200, "text/html; charset=UTF-8"]);
  return body.toString();
}

const count = (text: string, part: string): number => text.split(part).length - 1;

describe("a large page", () => {
  test("shows ten thousand tags in pages, failed ones first", async () => {
    await using web = await openTestWeb();
    const tags = Array.from({ length: 10_000 }, (_, index) =>
      tagRecord(`t${index}`, index === 9_999 ? { failure: failure(), last: "failed" } : {}),
    );
    web.view.set(freshMirror("a"), { tags });
    const first = await read(web, "/mirrors/a");
    expect(count(first, '<tr id="t-')).toBe(200);
    expect(first).toMatch(
      /<h2 id="tags">10,000 tags<\/h2>[^]*<tr id="t-t9999"[^]*<tr id="t-t0"[^]*Page 1 of 50/,
    );
    expect(first.length).toBeLessThan(500_000);
    const last = await read(web, "/mirrors/a?page=50");
    expect(last).toContain('<tr id="t-t9998"');
    expect(last).not.toContain('rel="next"');
  });

  test("shows a thousand mirrors in pages, and those of one state", async () => {
    await using web = await openTestWeb();
    for (let index = 0; index < 1_000; index += 1)
      web.view.set(freshMirror(`m${index}`, { state: index % 5 === 0 ? "late" : "fresh" }));
    const all = await read(web, "/?page=2");
    expect(count(all, '<li class="mirror ')).toBe(100);
    expect(all).toMatch(/200 of 1,000 mirrors need attention[^]*id="m-m100"[^]*Page 2 of 10/);
    const late = await read(web, "/?state=late");
    expect(count(late, '<li class="mirror is-late"')).toBe(100);
    expect(late).toContain('href="/?state=late&amp;page=2"');
  });
});

describe("the first page", () => {
  test("says what to do when there is no mirror", async () => {
    await using web = await openTestWeb();
    expect(await read(web, "/")).toMatch(/No mirrors yet[^]*mirrors:/);
  });

  test("names the first failed tags of a mirror, and leads to the others", async () => {
    await using web = await openTestWeb();
    const tags = Array.from({ length: 5 }, (_, index) =>
      tagRecord(`t${index}`, { failure: failure(), last: "failed" }),
    );
    web.view.set(freshMirror("a", { state: "failing", failedTags: 5, tags: 5 }), { tags });
    const page = await read(web, "/");
    expect(count(page, "RATE_LIMITED")).toBe(3);
    expect(page).toMatch(/<a href="\/mirrors\/a">2 more failed tags of a<\/a>/);
    expect(page).toContain("<title>(1) Mirrors");
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
});

test("a mirror whose page is not there is a page that says so", async () => {
  await using web = await openTestWeb();
  const { status, body } = await ask("GET", `${web.url}/mirrors/x%3Cscript%3E`, {
    headers: { accept: "text/html" },
  });
  expect(status).toBe(404);
  expect(body.toString()).toMatch(/Not found[^]*x&lt;script&gt;[^]*All mirrors/);
  expect(body.toString()).not.toContain("<script>");
});
