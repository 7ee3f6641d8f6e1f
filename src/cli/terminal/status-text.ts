import type { MirrorStatus } from "../../daemon/view/view.ts";
import { table } from "./table.ts";

/** One line per mirror of a daemon. */
export function renderStatus(mirrors: readonly MirrorStatus[]): string {
  if (mirrors.length === 0) return "there are no mirrors";
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
