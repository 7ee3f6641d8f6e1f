const UNITS: Readonly<Record<string, number>> = {
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** `500MiB`, `100GiB`, `2TiB` in bytes; undefined when it is no size. */
export function parseSize(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,6})([KMGT]iB)$/.exec(text) ?? [];
  return count === undefined || unit === undefined ? undefined : Number(count) * (UNITS[unit] ?? Number.NaN);
}
