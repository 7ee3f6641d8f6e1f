import { getHeapStatistics } from "node:v8";

import type { Config } from "../config/config.ts";

const CHECKS_MIN = 8;
const CHECKS_MAX = 64;
/** The memory of one check: the listing of a large repository. */
const HEAP_PER_CHECK_BYTES = 4 * 1024 * 1024;
const HEAP_BYTES = getHeapStatistics().heap_size_limit;

/** The number of checks at once. By default one per mirror, limited by memory. Registries have their own limits. */
export function checkSlots({ daemon, mirrors }: Config): number {
  if (daemon.checks !== undefined) return daemon.checks;
  const byMemory = Math.floor(HEAP_BYTES / HEAP_PER_CHECK_BYTES);
  return Math.max(CHECKS_MIN, Math.min(CHECKS_MAX, mirrors.length, byMemory));
}
