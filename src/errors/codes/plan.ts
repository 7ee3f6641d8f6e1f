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
      "Another mirror with the same target may select this tag too, and its source could not be read. The tag is new, so it was not written.",
    next: "Check the source of the other mirror, or change the rules so that they cannot select the same tag.",
    retry: "later",
  },
  CHECK_DEADLINE: {
    class: "source",
    meaning: "The check of the mirror took longer than its deadline. Nothing of the mirror was changed.",
    next: "Check the registries of this mirror, or raise `deadline`. Tagferry tries again at the next run.",
    retry: "later",
  },
  SOURCE_MOVED: {
    class: "source",
    meaning: "The tag moved at the source after the plan was made. Nothing was published.",
    next: "Nothing to do: Tagferry plans the tag again.",
    retry: "again",
  },
} as const satisfies Record<string, CodeFacts>;
