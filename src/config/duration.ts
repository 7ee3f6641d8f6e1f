const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const LONGEST_MS = 100 * 365 * 86_400_000;

/** Parses `90d`, `12h` or `1h30m` to milliseconds; undefined when the text is not a duration. */
export function parseDuration(text: string): number | undefined {
  if (!/^(?:\d{1,12}(?:ms|[smhdw]))+$/.test(text)) return undefined;
  let totalMs = 0;
  for (const [, count, unit] of text.matchAll(/(\d{1,12})(ms|[smhdw])/g))
    totalMs += Number(count) * (UNITS_MS[unit ?? ""] ?? Number.NaN);
  return totalMs <= LONGEST_MS ? totalMs : undefined;
}
