import { createHash, timingSafeEqual } from "node:crypto";

/** A secret. It is read at each use, because a mounted file may change. */
export type Secret = () => Promise<string>;

/** Compares in constant time, so that the duration reveals neither the length nor the first difference. */
export function sameSecret(one: string, other: string): boolean {
  return timingSafeEqual(hashOf(one), hashOf(other));
}

function hashOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
