import type { CodeFacts } from "../facts.ts";

/** What a plan refuses or warns of. */
export const PLAN_CODES = {
  TAGS_TOO_MANY: {
    class: "policy",
    meaning: "The rules select more tags than `max`.",
    next: "Narrow the rules (`tagferry plan --explain`), or raise max.",
  },
  PRUNE_CAPPED: {
    class: "policy",
    meaning: "More tags would be pruned than `prune.atMost` allows.",
    next: "Look at why they are gone at the source; raise atMost if it is meant.",
  },
} as const satisfies Record<string, CodeFacts>;
