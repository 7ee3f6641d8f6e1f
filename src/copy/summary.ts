import type { Digest } from "../oci/digest.ts";
import type { CopyEvent } from "./events.ts";

/** What a copy moved. `bytes`: the bytes of all blobs that were sent to the target. */
export type CopySummary = {
  readonly bytes: number;
  readonly blobs: { readonly pushed: number; readonly mounted: number; readonly present: number };
  readonly manifests: number;
  readonly referrers: number;
  readonly notCarried: number;
};

/** Counts the events of one copy. */
export function openSummary(): {
  count(event: CopyEvent): void;
  summary(counted: Pick<CopySummary, "referrers">): CopySummary;
} {
  const blobs = { pushed: 0, mounted: 0, present: 0 };
  const manifests = new Set<Digest>();
  let bytes = 0;
  let notCarried = 0;
  return {
    count(event) {
      switch (event.kind) {
        case "blob":
          blobs[event.how] += 1;
          bytes += event.bytes;
          break;
        case "manifest":
          if (event.how === "pushed") manifests.add(event.descriptor.digest);
          break;
        case "notCarried":
          notCarried += event.referrers;
          break;
        case "planned":
        case "bytes":
        case "healed":
        case "foreign":
          break;
      }
    },
    summary: ({ referrers }) => ({
      bytes,
      blobs: { ...blobs },
      manifests: manifests.size,
      referrers,
      notCarried,
    }),
  };
}
