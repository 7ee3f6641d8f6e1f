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
  OVERLAP_UNKNOWN: {
    class: "source",
    meaning:
      "Another mirror with the same target may want this tag too, and its source did not tell. The tag is new, so it is not written.",
    next: "Make the source of the other mirror answer, or give the mirrors rules that cannot take the same tag.",
    retry: "later",
  },
  CHECK_DEADLINE: {
    class: "source",
    meaning: "The check of a mirror took longer than its deadline; nothing of the mirror was touched.",
    next: "Look at the registries of this mirror, or raise `deadline`. It is checked again at the next run.",
    retry: "later",
  },
  SOURCE_MOVED: {
    class: "source",
    meaning: "The tag moved at the source between the plan and the publication; nothing was published.",
    next: "Nothing: the tag is planned again.",
    retry: "again",
  },
} as const satisfies Record<string, CodeFacts>;
