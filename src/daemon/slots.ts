import { getHeapStatistics } from "node:v8";

import type { Config } from "../config/config.ts";

const CHECKS_MIN = 8;
const CHECKS_MAX = 64;
/** What a check may hold: the listing of a large repository. */
const HEAP_PER_CHECK_BYTES = 4 * 1024 * 1024;

/** Checks at once. By default as many as there are mirrors, within what the heap takes; registries have limits of their own. */
export function checkSlots({ daemon, mirrors }: Config): number {
  if (daemon.checks !== undefined) return daemon.checks;
  const byMemory = Math.floor(getHeapStatistics().heap_size_limit / HEAP_PER_CHECK_BYTES);
  return Math.max(CHECKS_MIN, Math.min(CHECKS_MAX, mirrors.length, byMemory));
}
