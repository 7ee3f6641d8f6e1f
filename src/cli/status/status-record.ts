import type { MirrorDetail, MirrorStatus } from "../../daemon/view/view.ts";
import type { Failure } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import { mapConcurrently } from "../../lib/limit.ts";
import { inTagOrder } from "../../plan/tag-order.ts";
import type { DaemonClient } from "./daemon-client.ts";

/** A mirror with the failures of its tags, as `-o json` prints it. */
export type StatusRecord = MirrorStatus & {
  readonly failures: readonly { readonly tag: string; readonly failure: Failure }[];
};

const WELL: readonly MirrorStatus["state"][] = ["fresh", "running", "waiting", "paused"];
const REQUESTS_AT_ONCE = 4;

export function isWell({ state }: MirrorStatus): boolean {
  return WELL.includes(state);
}

/** Reads the failures of tags, with one more request for each mirror that has some. */
export async function withFailures(
  mirrors: readonly MirrorStatus[],
  client: DaemonClient,
  options: Cancellable,
): Promise<readonly StatusRecord[]> {
  const details = new Map<string, MirrorDetail>();
  const failing = mirrors.filter(({ failedTags }) => failedTags > 0);
  const read = async ({ name }: MirrorStatus): Promise<void> => {
    const detail = await client.mirror(name, options);
    if (detail) details.set(name, detail);
  };
  for await (const _ of mapConcurrently(failing, REQUESTS_AT_ONCE, read));
  return mirrors.map((mirror) => ({ ...mirror, failures: failuresOf(details.get(mirror.name)) }));
}

function failuresOf(detail: MirrorDetail | undefined): StatusRecord["failures"] {
  const failed = detail?.tags.flatMap(({ tag, failure }) => (failure ? [{ tag, failure }] : [])) ?? [];
  return inTagOrder(failed);
}
