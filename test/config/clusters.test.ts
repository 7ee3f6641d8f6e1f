import { writeFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { temporaryDirectory } from "../support/temporary.ts";
import { type Row, tagged, TAGS, testRows, warningsOf } from "./scene.ts";

const cluster = (body: string): string => `${tagged(TAGS)}clusters:\n  ${body}\n`;

const ROWS: readonly Row[] = [
  {
    row: "a second cluster",
    text: cluster("one: {}\n  two: {}"),
    expected: ["CONFIG_TYPE 8:3"],
  },
  {
    row: "a registry with a scheme",
    text: cluster("one: {registry: https://registry.example}"),
    expected: ["CONFIG_REGISTRY 7:19"],
  },
];

describe("a cluster that is refused", () => {
  testRows(ROWS);
});

test("a kubeconfig that does not exist is a warning: it may come later", async () => {
  await using directory = await temporaryDirectory();
  const text = cluster("one: {kubeconfigFile: kubeconfig}");
  expect(await warningsOf(directory, text)).toEqual(["CONFIG_KUBECONFIG 7:25"]);
  writeFileSync(directory.join("kubeconfig"), "");
  expect(await warningsOf(directory, text)).toEqual([]);
});
