import type { CodeFacts } from "../facts.ts";

/** What a target answers to a push. */
export const PUSH_CODES = {
  UPLOAD_LOCATION: {
    class: "target",
    meaning: "The registry sends an upload nowhere, or to a host we do not send it to.",
    next: "Look at the registry's external URL setting.",
  },
  UPLOAD: {
    class: "target",
    meaning: "The upload failed after its retries (session lost, chunk refused).",
    next: "Look at the registry and at body limits of the proxy in front of it.",
    retry: "again",
  },
  TARGET_TOO_LARGE: {
    class: "target",
    meaning: "The target, or the proxy in front of it, takes no body of this size (413).",
    next: "Raise the body limit in front of the registry.",
  },
  TARGET_DIGEST: {
    class: "target",
    meaning: "The target says that what we sent is not its digest.",
    next: "Look at what stands between us and the target: it alters content.",
    retry: "again",
  },
  TARGET_REJECTED: {
    class: "target",
    meaning: "The target rejects the manifest.",
    next: "Read the registry's reason in the message.",
  },
  TARGET_BLOB_UNKNOWN: {
    class: "target",
    meaning: "The target says that something the manifest names is missing, also after it was sent again.",
    next: "Look at the target's storage and garbage collection; it is tried again at the next run.",
    retry: "again",
  },
  TARGET_READBACK: {
    class: "target",
    meaning: "The tag was written and the target shows another digest.",
    next: "Somebody else writes this tag, or the target converts manifests.",
  },
  TARGET_UNPROVEN: {
    class: "target",
    meaning: "The target answered a push with something other than 201, and what was pushed is not there.",
    next: "Look at the proxy in front of the target; it is tried again at the next run.",
    retry: "again",
  },
  TARGET_NOT_A_REGISTRY: {
    class: "target",
    meaning: "The target says yes to everything and keeps nothing.",
    next: "Look at the host name: this is no registry.",
  },
  TARGET_QUOTA: {
    class: "policy",
    meaning: "The target has no room for us: a quota or a limit range.",
    next: "Ask for more quota, or mirror fewer tags.",
    retry: "later",
  },
  TARGET_READONLY: {
    class: "target",
    meaning: "The target takes no writes at present.",
    next: "It is tried again at the next run.",
    retry: "later",
  },
  TARGET_IMMUTABLE: {
    class: "policy",
    meaning: "The tag is immutable at the target and holds something else.",
    next: "Lift the immutability rule for this tag, or do not mirror it.",
  },
  TARGET_PROJECT: {
    class: "target",
    meaning: "The project or namespace does not exist at the target.",
    next: "Create it, then run again.",
  },
  TARGET_UNSUPPORTED: {
    class: "target",
    meaning: "The target cannot hold content of this kind (media type, sparse index, digest algorithm).",
    next: "Use another target for this image.",
  },
  OUTCOME_UNKNOWN: {
    class: "target",
    meaning:
      "The gateway gave up while the target was still working (504), and the result could not be found out.",
    next: "It is tried again at the next run; raise the gateway's timeout.",
    retry: "later",
  },
} as const satisfies Record<string, CodeFacts>;
