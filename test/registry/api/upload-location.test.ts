import { expect, test } from "vitest";

import type { Digest } from "../../../src/oci/digest.ts";
import { uploadLocation, withDigest } from "../../../src/registry/api/upload-location.ts";
import { thrownBy } from "../../support/thrown.ts";

const REQUEST = new URL("https://harbor.example:8443/v2/team/app/blobs/uploads/");
const DIGEST: Digest = `sha256:${"a".repeat(64)}`;

test.for([
  [
    "/v2/team/app/blobs/uploads/1?_state=a%2Fb~",
    "https://harbor.example:8443/v2/team/app/blobs/uploads/1?_state=a%2Fb~",
  ],
  ["https://harbor.example:8443/u/1", "https://harbor.example:8443/u/1"],
  ["http://harbor.example/u/1", "https://harbor.example:8443/u/1"],
  ["http://harbor.example:80/u/1", "https://harbor.example:8443/u/1"],
  ["1", "https://harbor.example:8443/v2/team/app/blobs/uploads/1"],
] as const)("goes on at %s", ([location, href]) => {
  expect(uploadLocation(location, REQUEST, "team/app").href).toBe(href);
});

test.for([
  undefined,
  "",
  "https://evil.test/u/1",
  "//evil.test/u/1",
  "http://evil.test/u/1",
  "https://harbor.example/u/1",
  "https://harbor.example:9999/u/1",
  "http://169.254.169.254/",
  "https://user:secret@harbor.example:8443/u/1",
  "file:///etc/passwd",
  "https://[",
])("sends no layer to %s", (location) => {
  const error = thrownBy(() => uploadLocation(location, REQUEST, "team/app"));
  expect(error.code).toBe("UPLOAD_LOCATION");
  expect(JSON.stringify(error.details)).not.toContain("secret");
});

test("adds the digest and leaves the registry's own query as it was, character by character", () => {
  const location = uploadLocation("/u/1?_state=%20%7E%3D~a+b==", REQUEST, "team/app");
  expect(withDigest(location, DIGEST).search).toBe(
    `?_state=%20%7E%3D~a+b==&digest=sha256%3A${"a".repeat(64)}`,
  );
  expect(withDigest(new URL("/u/1", REQUEST), DIGEST).search).toBe(`?digest=sha256%3A${"a".repeat(64)}`);
});
