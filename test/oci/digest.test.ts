import { createHash } from "node:crypto";

import { describe, expect, test } from "vitest";

import {
  algorithmOf,
  digestOf,
  encodedOf,
  hashFor,
  isDigest,
  parseDigest,
  shortDigest,
} from "../../src/oci/digest.ts";

const HEX_64 = "0123456789abcdef".repeat(4);
const HEX_128 = HEX_64 + HEX_64;

describe("isDigest", () => {
  test.for([`sha256:${HEX_64}`, `sha512:${HEX_128}`])("takes %s", (text) => {
    expect(isDigest(text)).toBe(true);
    expect(parseDigest(text)).toBe(text);
  });

  test.for([
    "",
    HEX_64,
    "sha256:",
    `sha256:${HEX_64.slice(1)}`,
    `sha256:${HEX_64}0`,
    `sha256:${HEX_64.toUpperCase()}`,
    `SHA256:${HEX_64}`,
    `sha512:${HEX_64}`,
    `sha256:${HEX_128}`,
    `sha384:${HEX_64}${HEX_64.slice(32)}`,
    `blake3:${HEX_64}`,
    `sha256:${HEX_64}\n`,
    `\nsha256:${HEX_64}`,
    `sha256:../../${HEX_64.slice(6)}`,
    `sha256/${HEX_64}`,
    `sha256-${HEX_64}`,
    ` sha256:${HEX_64}`,
  ])("refuses %j", (text) => {
    expect(isDigest(text)).toBe(false);
    expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: "CONFIG_DIGEST" }));
  });

  test.for([undefined, null, 1, {}, [`sha256:${HEX_64}`]])("refuses %j, which is no text", (value) => {
    expect(isDigest(value)).toBe(false);
  });
});

test.for(["sha256", "sha512"] as const)("digestOf hashes by %s", (algorithm) => {
  const bytes = Buffer.from("content");
  const digest = digestOf(bytes, algorithm);
  expect(digest).toBe(`${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`);
  expect(algorithmOf(digest)).toBe(algorithm);
  expect(`${algorithmOf(digest)}:${encodedOf(digest)}`).toBe(digest);
  expect(hashFor(digest).update(bytes).digest("hex")).toBe(encodedOf(digest));
});

test("knows the digests everybody knows", () => {
  expect(digestOf(new Uint8Array())).toBe(
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  );
  expect(digestOf(Buffer.from("{}"))).toBe(
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
  );
});

test("a short digest keeps its algorithm and twelve digits", () => {
  expect(shortDigest(digestOf(new Uint8Array()))).toBe("sha256:e3b0c44298fc");
});
