import { createHash, type Hash } from "node:crypto";

import { TagferryError } from "../errors/error.ts";

/** A validated digest. It is safe in a path and in a URL. */
export type Digest = `sha256:${string}` | `sha512:${string}`;

const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isDigest(text: unknown): text is Digest {
  return typeof text === "string" && DIGEST.test(text);
}

/** @throws {TagferryError} CONFIG_DIGEST */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new TagferryError("CONFIG_DIGEST", `"${text}" is not a digest`, {
    found: text,
    allowed: "sha256: and 64, or sha512: and 128 lower-case hexadecimal digits",
  });
}

export function algorithmOf(digest: Digest): "sha256" | "sha512" {
  return digest.startsWith("sha256:") ? "sha256" : "sha512";
}

/** The part after the colon. In a layout it is the name of the file. */
export function encodedOf(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}

export function hashFor(digest: Digest): Hash {
  return createHash(algorithmOf(digest));
}

export function digestOf(bytes: Uint8Array, algorithm: "sha256" | "sha512" = "sha256"): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

/** The beginning of a digest, for people. */
export function shortDigest(digest: Digest): string {
  return `${algorithmOf(digest)}:${encodedOf(digest).slice(0, 12)}`;
}
