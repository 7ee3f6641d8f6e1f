/** Numbers and times as people read them. */

export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `3 min ago`, `in 2 h`. */
export function relative(iso: string, now: Date): string {
  const seconds = Math.round((Date.parse(iso) - now.getTime()) / 1000);
  const span = duration(Math.abs(seconds));
  if (Math.abs(seconds) < 5) return "now";
  return seconds < 0 ? `${span} ago` : `in ${span}`;
}

export function duration(seconds: number): string {
  const steps = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
  ] as const;
  for (const [size, unit] of steps) if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  return `${Math.round(seconds)} s`;
}

/** `2026-11-23 14:05 UTC`: what a person in any zone can compare. */
export function absolute(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
}

export function shortDigest(digest: string): string {
  return digest.replace(/^(sha\d+):([0-9a-f]{12}).*$/, "$1:$2");
}
