import type { Digest } from "../oci/digest.ts";
import type { CopyEvent } from "./events.ts";

/** What is known of an image after its manifests were read. */
export type ImageFacts = {
  /** All its manifests and blobs, each once, without foreign layers and referrers. */
  readonly bytes: number;
  /** As `linux/arm64/v8`, of an index; none for a single image. */
  readonly platforms: readonly string[];
};

/** What a copy moved. `bytes`: the bytes of all blobs that were sent to the target. */
export type CopySummary = {
  readonly bytes: number;
  readonly blobs: { readonly pushed: number; readonly mounted: number; readonly present: number };
  readonly manifests: number;
  readonly referrers: number;
  readonly notCarried: number;
  /** Undefined when the target had parts of it, which were not read then. */
  readonly image?: ImageFacts;
};

/** Counts the events of one copy. */
export function openSummary(): {
  count(event: CopyEvent): void;
  summary(counted: Pick<CopySummary, "referrers" | "image">): CopySummary;
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
    summary: ({ referrers, image }) => ({
      bytes,
      blobs: { ...blobs },
      manifests: manifests.size,
      referrers,
      notCarried,
      ...(image ? { image } : {}),
    }),
  };
}
