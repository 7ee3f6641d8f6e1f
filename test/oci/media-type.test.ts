import { expect, test } from "vitest";

import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  isForeignLayerType,
  isIndexType,
  isSchema1Type,
  MANIFEST_ACCEPT,
  OCI_ARTIFACT,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../../src/oci/media-type.ts";

test("everything that registries store is accepted, in one line, without q-factors", () => {
  const types = MANIFEST_ACCEPT.split(", ");
  expect(types).toEqual(
    expect.arrayContaining([OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST, OCI_ARTIFACT]),
  );
  expect(types.filter(isSchema1Type)).toHaveLength(2);
  expect(MANIFEST_ACCEPT).not.toMatch(/[;\r\n]/);
});

test.for([
  [OCI_INDEX, true],
  [DOCKER_LIST, true],
  [OCI_MANIFEST, false],
  [DOCKER_MANIFEST, false],
  [OCI_ARTIFACT, false],
  ["", false],
] as const)("%s lists manifests: %s", ([mediaType, expected]) => {
  expect(isIndexType(mediaType)).toBe(expected);
});

test.for([
  "application/vnd.oci.image.layer.nondistributable.v1.tar+bzip2",
  "xapplication/vnd.oci.image.layer.nondistributable.v1.tar",
  "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip.asc",
])("%s is no foreign layer", (mediaType) => {
  expect(isForeignLayerType(mediaType)).toBe(false);
});
