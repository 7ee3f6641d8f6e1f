import { describe } from "vitest";

import { SOURCE, TARGET, TAGS, mirror, testRows, type Row } from "./scene.ts";

const ROWS: readonly Row[] = [
  {
    row: "A24 upper case",
    text: mirror(`source: quay.io/A/b\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_REPOSITORY 3:13"],
  },
  {
    row: "A25 two dots",
    text: mirror(`source: quay.io/a/../b\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_REPOSITORY 3:13"],
  },
  {
    row: "A25 too long",
    text: mirror(`source: quay.io/${"a".repeat(256)}\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_REPOSITORY 3:13"],
  },
  {
    row: "A27 a tag in the source",
    text: mirror(`source: quay.io/a/b:1\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_REPOSITORY 3:13"],
  },
  {
    row: "A43 a choice where the cluster imports",
    text: mirror(`${SOURCE}\n${TARGET}\n${TAGS}\nstorage: source\nplatforms: [linux/amd64]`),
    expected: ["CONFIG_PLATFORM 7:5"],
  },
  {
    row: "A47 a namespace in upper case",
    text: mirror(`${SOURCE}\ntarget: imagestream:Web/b\n${TAGS}`),
    expected: ["CONFIG_KUBERNETES_NAME 4:13"],
  },
  {
    row: "A47 a stream with two underscores",
    text: mirror(`${SOURCE}\ntarget: imagestream:web/a__b\n${TAGS}`),
    expected: ["CONFIG_KUBERNETES_NAME 4:13"],
  },
  {
    row: "A47 three parts",
    text: mirror(`${SOURCE}\ntarget: imagestream:web/a/b\n${TAGS}`),
    expected: ["CONFIG_KUBERNETES_NAME 4:13"],
  },
  {
    row: "a key without effect: storage of a registry target",
    text: mirror(`${SOURCE}\ntarget: reg.example/a/b\n${TAGS}\nstorage: source`),
    expected: ["CONFIG_TYPE 6:5"],
  },
];

describe("a source, target or storage that is refused", () => {
  testRows(ROWS);
});
