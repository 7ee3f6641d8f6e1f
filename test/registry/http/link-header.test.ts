import { expect, test } from "vitest";

import { nextPage } from "../../../src/registry/http/link-header.ts";
import { thrownBy } from "../../support/thrown.ts";

const PAGE = new URL("https://registry.example:8443/v2/team/app/tags/list?n=100");
const next = (link: string | string[] | undefined): string | undefined => nextPage(link, PAGE)?.href;
const at = (path: string): string => `https://registry.example:8443${path}`;

test.for([
  ['</v2/team/app/tags/list?last=b&n=100>; rel="next"', at("/v2/team/app/tags/list?last=b&n=100")],
  [
    '<https://registry.example:8443/v2/team/app/tags/list?last=b>; rel="next"',
    at("/v2/team/app/tags/list?last=b"),
  ],
  ['<?last=b>; rel="next"', at("/v2/team/app/tags/list?last=b")],
  ["<list?last=b>;rel=next", at("/v2/team/app/tags/list?last=b")],
  ['<?last=a>; rel="prev", <?last=c>; rel="next"', at("/v2/team/app/tags/list?last=c")],
  ['<?last=b>; title="x"; rel="next"', at("/v2/team/app/tags/list?last=b")],
  ['<?last=a b>; rel="next"', at("/v2/team/app/tags/list?last=a%20b")],
] as const)("follows %s", ([link, href]) => {
  expect(next(link)).toBe(href);
});

test("joins several Link headers", () => {
  expect(next(['<?last=a>; rel="prev"', '<?last=c>; rel="next"'])).toBe(at("/v2/team/app/tags/list?last=c"));
});

test.for([undefined, "", '<?last=a>; rel="prev"', "next", "<?last=a>"])("ends the listing at %s", (link) => {
  expect(next(link)).toBeUndefined();
});

test.for([
  '<https://evil.test/v2/team/app/tags/list>; rel="next"',
  '<//evil.test/x>; rel="next"',
  '<http://registry.example:8443/v2/x>; rel="next"',
  '<https://registry.example/v2/x>; rel="next"',
  '<https://[bad>; rel="next"',
])("refuses to follow %s", (link) => {
  expect(thrownBy(() => next(link)).code).toBe("LINK_FOREIGN");
});

test("keeps to its own path where the registry names an inner one (Nexus, Artifactory)", () => {
  expect(next('</repository/docker/v2/team/app/tags/list?last=b&n=100>; rel="next"')).toBe(
    at("/v2/team/app/tags/list?last=b&n=100"),
  );
});
