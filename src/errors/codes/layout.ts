import type { CodeFacts } from "../facts.ts";

/** OCI image layouts in directories. */
export const LAYOUT_CODES = {
  LAYOUT_INVALID: {
    class: "source",
    meaning: "The directory is not an OCI image layout, or its index cannot be read.",
    next: "Check the path. The directory of an image layout contains oci-layout and index.json.",
  },
  LAYOUT_LOCKED: {
    class: "target",
    meaning: "Another process writes this layout.",
    next: "Wait until it has finished, or remove the lock file if that process no longer exists.",
  },
} as const satisfies Record<string, CodeFacts>;
