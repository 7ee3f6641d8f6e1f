import { describe, expect, test } from "vitest";

import { renderProblems } from "../../src/config/file/problems.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { daemon, errorOf, problemsIn, testRows, type Row } from "./scene.ts";

const ROWS: readonly Row[] = [
  { row: "B13 an address that is none", text: daemon("listen: here"), expected: ["CONFIG_LISTEN 7:11"] },
  {
    row: "B13 a port that is none",
    text: daemon("listen: 127.0.0.1:70000"),
    expected: ["CONFIG_LISTEN 7:11"],
  },
  {
    row: "B13 reachable from elsewhere without a token",
    text: daemon("listen: 0.0.0.0:8080"),
    expected: ["CONFIG_LISTEN 7:11"],
  },
  {
    row: "B13 no address for probes",
    text: daemon("healthListen: here"),
    expected: ["CONFIG_LISTEN 7:17"],
  },
  {
    row: "B13 probes at the port of the page",
    text: daemon("healthListen: 0.0.0.0:8080"),
    expected: ["CONFIG_LISTEN 7:17"],
  },
  {
    row: "B13 a token that reads and none that acts",
    text: daemon("readTokenFile: tagferry.yaml"),
    expected: ["CONFIG_SECRET 7:18"],
  },
  {
    row: "B13 one token that reads and acts",
    text: daemon("tokenFile: tagferry.yaml\n  readTokenFile: tagferry.yaml"),
    expected: ["CONFIG_SECRET 8:18"],
  },
  {
    row: "B13 no secret of the proxy",
    text: daemon("trustForwardedUser: {secretFile: none}"),
    expected: ["CONFIG_SECRET 7:36"],
  },
  {
    row: "B13 no secret of a sender",
    text: daemon("webhooks: {secretFiles: {harbor: none}}"),
    expected: ["CONFIG_SECRET 7:36"],
  },
  {
    row: "B14 two places to remember in",
    text: daemon("redis: redis://localhost:6379\n  stateFile: state.jsonl"),
    expected: ["CONFIG_STATE 8:14"],
  },
  { row: "B14 a Redis that is none", text: daemon("redis: localhost"), expected: ["CONFIG_REDIS 7:10"] },
  {
    row: "B14 a password in the address of Redis",
    text: daemon("redis: redis://:hunter2@localhost:6379"),
    expected: ["CONFIG_INLINE_SECRET 7:10"],
  },
  {
    row: "B14 a password file that is not there",
    text: daemon("redis: {url: redis://localhost, passwordFile: nowhere}"),
    expected: ["CONFIG_SECRET 7:49"],
  },
];

describe("settings of the daemon that are refused", () => {
  testRows(ROWS);
});

test("the secret of webhooks in the file is not shown", async () => {
  await using directory = await temporaryDirectory();
  const text = daemon("webhooks: {secret: hunter2}");
  const error = await errorOf(directory, text);
  expect(renderProblems(problemsIn(error), text)).not.toContain("hunter2");
});
