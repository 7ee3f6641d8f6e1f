import { expect, test } from "vitest";

import { below } from "../../src/registry/registry.ts";
import { thrownBy } from "../support/thrown.ts";

const BASE = new URL("https://registry.example/v2/team/app/");

test.for([
  ["manifests/v1", "/v2/team/app/manifests/v1"],
  ["manifests/sha256:ab", "/v2/team/app/manifests/sha256:ab"],
  ["tags/list?n=100", "/v2/team/app/tags/list?n=100"],
  [
    "blobs/uploads/?mount=sha256:ab&from=other%2Frepo",
    "/v2/team/app/blobs/uploads/?mount=sha256:ab&from=other%2Frepo",
  ],
] as const)("asks for %s below its repository", ([path, at]) => {
  expect(below(BASE, path).href).toBe(`https://registry.example${at}`);
});

test.for([
  "manifests/../../other/manifests/v1",
  "manifests/../../../../admin",
  "../x",
  "..",
  "manifests/%2e%2e/%2e%2e/other",
  "manifests/.%2e/.%2E/other",
  "manifests/..%2f..%2fother",
  "manifests/..%5c..%5cother",
  "manifests/%252e%252e/other",
  "manifests/..\\..\\..\\other",
  "/../../x",
  "//evil.test/x",
  "manifests/v1#part",
])("refuses %s, which leaves it", (path) => {
  expect(thrownBy(() => below(BASE, path)).code).toBe("INTERNAL");
});
