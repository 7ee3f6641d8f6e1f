import type { MirrorStatus, RegistryPause } from "../../daemon/view/view.ts";
import { table } from "./table.ts";

/** One line per mirror of a daemon, and one per registry that gets no requests now. */
export function renderStatus(mirrors: readonly MirrorStatus[]): string {
  if (mirrors.length === 0) return "there are no mirrors";
  const pauses = new Map(mirrors.flatMap(({ pauses: all = [] }) => all).map((one) => [one.registry, one]));
  return [mirrorTable(mirrors), ...[...pauses.values()].map(pauseLine)].join("\n");
}

function pauseLine({ registry, kind, since, until }: RegistryPause): string {
  return kind === "unresponsive"
    ? `${registry} has not answered since ${since}; it is tried again at ${until}`
    : `${registry} asked for a pause at ${since}; requests continue at ${until}`;
}

function mirrorTable(mirrors: readonly MirrorStatus[]): string {
  return table([
    ["MIRROR", "STATE", "TAGS", "LAST GOOD RUN", "NEXT RUN", ""],
    ...mirrors.map(({ name, state, tags, failedTags, lastSuccessAt, nextRunAt, failure }) => [
      name,
      state,
      failedTags > 0 ? `${tags} (${failedTags} failed)` : `${tags}`,
      lastSuccessAt ?? "never",
      nextRunAt ?? "on request",
      failure ? `${failure.code}: ${failure.message}` : "",
    ]),
  ]);
}
