const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** Bytes for people: three digits and a unit. */
export function formatBytes(bytes: number): string {
  const power = powerOf(bytes);
  return `${digits(bytes, power)} ${UNITS[power]}`;
}

/** A part of a total in the unit of the total: `12.3/45.6 MiB`. */
export function formatPart(bytes: number, totalBytes: number): string {
  const power = powerOf(totalBytes);
  return `${digits(bytes, power)}/${digits(totalBytes, power)} ${UNITS[power]}`;
}

function powerOf(bytes: number): number {
  return bytes < 1024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
}

function digits(bytes: number, power: number): string {
  const value = bytes / 1024 ** power;
  return power === 0 || value >= 100 ? `${Math.round(value)}` : value.toFixed(1);
}

/** A duration for people: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 9_950) return `${(durationMs / 1000).toFixed(1)} s`;
  const seconds = Math.round(durationMs / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A duration in its largest unit: 12 s, 3 min, 2 h, 5 d. */
export function formatRoughly(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** A time relative to now: `3 min ago`, `in 2 h`. */
export function formatRelative(iso: string, nowMs: number): string {
  const differenceMs = Date.parse(iso) - nowMs;
  if (Number.isNaN(differenceMs)) return iso;
  if (Math.abs(differenceMs) < 1000) return "now";
  return differenceMs > 0 ? `in ${formatRoughly(differenceMs)}` : `${formatRoughly(-differenceMs)} ago`;
}

/** Cuts out the middle, because both ends of an image name say what it is: `web/ver…nginx:1.27`. */
export function shorten(text: string, width: number): string {
  if (text.length <= width) return text;
  if (width < 2) return text.slice(0, Math.max(0, width));
  const tail = Math.ceil((width - 1) * 0.6);
  return `${text.slice(0, width - 1 - tail)}…${text.slice(text.length - tail)}`;
}
