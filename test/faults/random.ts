import { createCipheriv, createHash } from "node:crypto";

/** Random numbers from a label: the same label gives the same numbers on every machine. */
export type Random = {
  /** In [0, 1). */
  float(): number;
  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number;
  chance(probability: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** At most `count` different entries, in random order. */
  sample<T>(list: readonly T[], count: number): T[];
  bytes(length: number): Buffer;
  /** An independent generator. Drawing from it does not change this one. */
  fork(label: string): Random;
};

export function randomOf(label: string): Random {
  const key = createHash("sha256").update(label).digest();
  let state = key.readUInt32LE(16);
  let drawn = 0;
  // mulberry32: 32 bits of state are enough to choose faults
  const float = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const int = (min: number, max: number): number => min + Math.floor(float() * (max - min + 1));
  const pick = <T>(list: readonly T[]): T => {
    const [found] = list.slice(int(0, list.length - 1));
    if (found === undefined) throw new Error(`nothing to pick from (${label})`);
    return found;
  };
  return {
    float,
    int,
    pick,
    chance: (probability) => float() < probability,
    sample: (list, count) =>
      list
        .map((entry) => ({ entry, at: float() }))
        .toSorted((a, b) => a.at - b.at)
        .slice(0, count)
        .map(({ entry }) => entry),
    bytes: (length) => {
      drawn += 1;
      const counter = Buffer.alloc(16);
      counter.writeUInt32BE(drawn, 0);
      return createCipheriv("aes-128-ctr", key.subarray(0, 16), counter).update(Buffer.alloc(length));
    },
    fork: (name) => randomOf(`${label}/${name}`),
  };
}
