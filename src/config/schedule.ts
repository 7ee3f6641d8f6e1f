import type { Schedule } from "./config.ts";
import type { MirrorShape } from "./file/schema.ts";
import type { MirrorReader } from "./mirror-reader.ts";

/** Reads when a mirror is checked. The daemon checks the cron expression, because it knows the parser. */
export function readSchedule(
  { schedule, timeZone, jitter }: MirrorShape,
  own: MirrorShape,
  reader: MirrorReader,
): Schedule | undefined {
  const jitterMs = jitter === undefined ? 0 : reader.duration(["jitter"], jitter);
  if (timeZone !== undefined && !isTimeZone(timeZone))
    reader.fail(["timeZone"], "CONFIG_TIME_ZONE", `"${timeZone}" is not a time zone`, {
      found: timeZone,
      allowed: "an IANA name such as Europe/Berlin, or UTC",
      next: zoneMeantBy(timeZone),
    });
  if (schedule !== undefined) return { cron: schedule, timeZone: timeZone ?? "UTC", jitterMs: jitterMs ?? 0 };
  for (const key of ["timeZone", "jitter"] as const)
    if (own[key] !== undefined)
      reader.fail([key], "CONFIG_CRON", `${key} has no effect without schedule`, {
        key: true,
        allowed: "schedule",
      });
  return undefined;
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/** A city without its continent, or another case. */
function zoneMeantBy(text: string): string | undefined {
  const city = text.split("/").at(-1)?.replaceAll(" ", "_").toLowerCase() ?? "";
  const zone = Intl.supportedValuesOf("timeZone").find((one) => one.toLowerCase().endsWith(`/${city}`));
  return zone === undefined ? undefined : `Did you mean "${zone}"?`;
}
