import { createHash, timingSafeEqual } from "node:crypto";

/** A secret that is read again at each use: a mounted file may change. */
export type Secret = () => Promise<string>;

/** Compares in constant time: nobody can measure where two texts differ, or how long they are. */
export function sameSecret(one: string, other: string): boolean {
  return timingSafeEqual(hashOf(one), hashOf(other));
}

function hashOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
