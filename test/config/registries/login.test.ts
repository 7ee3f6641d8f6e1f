import { writeFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { loadConfig } from "../../../src/config/file/load.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { registry, testRows, type Row } from "../scene.ts";

const ROWS: readonly Row[] = [
  {
    row: "A16 a secret file that is missing",
    text: registry("quay.io: {credentials: {username: u, passwordFile: absent}}"),
    expected: ["CONFIG_SECRET 7:54"],
  },
  {
    row: "A16 a secret file that is empty",
    text: registry("quay.io: {credentials: {username: u, passwordFile: empty}}"),
    expected: ["CONFIG_SECRET 7:54"],
  },
  {
    row: "A18 a password in the file",
    text: registry("quay.io: {credentials: {username: u, password: hunter2}}"),
    expected: ["CONFIG_INLINE_SECRET 7:40"],
  },
];

describe("credentials that cannot be used", () => {
  testRows(ROWS, { empty: "" });
});

test("A17 a secret with a Windows line end is taken, trimmed, and warned of", async () => {
  await using directory = await temporaryDirectory();
  writeFileSync(directory.join("password"), "hunter2\r\n");
  writeFileSync(
    directory.join("tagferry.yaml"),
    registry("quay.io: {credentials: {username: u, passwordFile: password}}"),
  );
  const { warnings } = await loadConfig({ env: {}, directory: directory.path });
  expect(warnings.map(({ code }) => code)).toEqual(["CONFIG_SECRET"]);
  expect(JSON.stringify(warnings)).not.toContain("hunter2");
});
