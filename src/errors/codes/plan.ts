import type { CodeFacts } from "../facts.ts";

/** Refusals and warnings of a plan. */
export const PLAN_CODES = {
  TAGS_TOO_MANY: {
    class: "policy",
    meaning: "The rules select more tags than `max`.",
    next: "Use narrower rules (`tagferry plan --explain` helps), or raise max.",
  },
  PRUNE_CAPPED: {
    class: "policy",
    meaning: "The run would prune more tags than `prune.atMost` allows, so it prunes none.",
    next: "Check why the tags are gone at the source. If that is right, raise atMost.",
  },
} as const satisfies Record<string, CodeFacts>;
