import { expect, test } from "vitest";

import { temporaryDirectory } from "../../support/temporary.ts";
import { mirror, SOURCE, TAGS, warningsOf } from "../scene.ts";

const withRegistries = (target: string, keys: string, cluster = ""): string =>
  `${mirror(`${SOURCE}\n${target}\n${TAGS}`)}registries: {${keys}}\n${cluster}`;
const STREAM = "target: imagestream:web/b";

test.for<readonly [string, string, readonly string[]]>([
  ["the source's", withRegistries(STREAM, "quay.io: {}"), []],
  ["the source's project's", withRegistries(STREAM, "quay.io/a: {}"), []],
  ["another project's", withRegistries(STREAM, "quay.io/other: {}"), ["CONFIG_UNUSED 6:14"]],
  ["a mistyped", withRegistries(STREAM, "qay.io: {}"), ["CONFIG_UNUSED 6:14"]],
  ["the target's", withRegistries("target: harbor.corp.example/m/b", "harbor.corp.example: {}"), []],
  [
    "the storage's",
    withRegistries(`${STREAM}\nstorage: harbor.corp.example/m/b`, "harbor.corp.example: {}"),
    [],
  ],
  [
    "the integrated registry's, by its usual name",
    withRegistries(STREAM, "default-route-openshift-image-registry.apps.example.com: {insecure: true}"),
    [],
  ],
  ["the integrated registry's, by its kind", withRegistries(STREAM, "own.example: {kind: openshift}"), []],
  [
    "the integrated registry's, as the cluster names it",
    withRegistries(STREAM, "own.example: {}", "clusters: {here: {registry: own.example}}\n"),
    [],
  ],
  [
    "another one's beside it",
    withRegistries(
      STREAM,
      "x.openshift-image-registry.example: {}",
      "clusters: {here: {registry: own.example}}\n",
    ),
    ["CONFIG_UNUSED 6:14"],
  ],
  [
    "the integrated registry's, where no mirror writes into it",
    withRegistries(`${STREAM}\nstorage: source`, "image-registry.openshift-image-registry.svc: {}"),
    ["CONFIG_UNUSED 7:14"],
  ],
])("settings of %s registry", async ([, text, expected]) => {
  await using directory = await temporaryDirectory();
  expect(await warningsOf(directory, text)).toEqual(expected);
});
