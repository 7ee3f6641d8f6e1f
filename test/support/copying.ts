import { copyImage, type CopyOptions } from "../../src/copy/copy.ts";
import type { CopyEvent } from "../../src/copy/events.ts";
import type { CopySummary } from "../../src/copy/summary.ts";
import { asTagferryError, type TagferryError } from "../../src/errors/error.ts";
import { inProcessLease } from "../../src/limits/in-process-lease.ts";
import type { Digest } from "../../src/oci/digest.ts";
import type { ImageSource, ImageTarget } from "../../src/oci/store.ts";

export type Copied = { readonly events: readonly CopyEvent[]; readonly summary: CopySummary };

/** Copies an image completely, and records the reported events. */
export async function copied(
  digest: Digest,
  source: ImageSource,
  target: ImageTarget,
  options: Partial<CopyOptions> = {},
): Promise<Copied> {
  const copying = copyImage({ digest }, source, target, {
    referrers: false,
    lease: inProcessLease(),
    ...options,
  });
  const events: CopyEvent[] = [];
  for (let step = await copying.next(); ; step = await copying.next()) {
    if (step.done) return { events, summary: step.value };
    events.push(step.value);
  }
}

/** The error of a copy that must fail. */
export async function failureOfCopy(copying: Promise<unknown>): Promise<TagferryError> {
  const ended = await copying.then(
    () => "done",
    (error: unknown) => asTagferryError(error),
  );
  if (typeof ended === "string") throw new Error("the copy should have failed");
  return ended;
}
