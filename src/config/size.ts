const UNITS: Readonly<Record<string, number>> = {
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** Parses `500MiB`, `100GiB` or `2TiB` to bytes; undefined when the text is not a size. */
export function parseSize(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,6})([KMGT]iB)$/.exec(text) ?? [];
  return count === undefined || unit === undefined ? undefined : Number(count) * (UNITS[unit] ?? Number.NaN);
}
