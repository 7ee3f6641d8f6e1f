import type { CodeFacts } from "../facts.ts";

/** OCI image layouts in directories. */
export const LAYOUT_CODES = {
  LAYOUT_INVALID: {
    class: "source",
    meaning: "The directory is not an OCI image layout, or its index cannot be read.",
    next: "Look at oci-layout and index.json in the directory.",
  },
  LAYOUT_LOCKED: {
    class: "target",
    meaning: "Another process writes this layout.",
    next: "Wait for it, or remove the lock file if that process is gone.",
  },
} as const satisfies Record<string, CodeFacts>;
