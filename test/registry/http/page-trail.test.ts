import { expect, test } from "vitest";

import { openPageTrail } from "../../../src/registry/http/page-trail.ts";
import { thrownBy } from "../../support/thrown.ts";

const PAGE = new URL("https://registry.example/v2/a/tags/list");
const link = (query: string): string => `<?${query}>; rel="next"`;

test("ends a listing that comes back to where it was", () => {
  const trail = openPageTrail();
  const second = trail.next(link("last=a"), PAGE, 1) ?? PAGE;
  expect(thrownBy(() => trail.next('</v2/a/tags/list>; rel="next"', second, 1))).toMatchObject({
    code: "TAGS_LIMIT",
    details: { found: "the same page again" },
  });
});

test.for([
  { what: "many pages", limits: { pages: 10 }, items: 1, found: "10 pages" },
  { what: "many empty pages", limits: { emptyPages: 5 }, items: 0, found: "5 empty pages in a row" },
  { what: "much time", limits: { totalMs: -1 }, items: 1, found: "0 s" },
  {
    what: "a long address",
    limits: { linkLength: 20 },
    items: 1,
    found: expect.stringContaining("characters"),
  },
])("ends a listing of $what with ever new links", ({ limits, items, found }) => {
  const trail = openPageTrail(limits);
  let page = PAGE;
  const follow = (): void => {
    for (let number = 0; number < 1_000; number += 1)
      page = trail.next(link(`last=${number}`), page, items) ?? PAGE;
  };
  expect(thrownBy(follow)).toMatchObject({ code: "TAGS_LIMIT", details: { found } });
});

test("goes on through some empty pages", () => {
  const trail = openPageTrail();
  const second = trail.next(link("last=a"), PAGE, 0);
  expect(second?.search).toBe("?last=a");
  expect(trail.next(undefined, second ?? PAGE, 5)).toBeUndefined();
});
