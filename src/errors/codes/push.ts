import type { CodeFacts } from "../facts.ts";

/** Answers of a target to a push. */
export const PUSH_CODES = {
  UPLOAD_LOCATION: {
    class: "target",
    meaning: "The registry gives no address for the upload, or an address on another host.",
    next: "Check the external URL in the settings of the registry.",
  },
  UPLOAD: {
    class: "target",
    meaning: "The upload failed after all its attempts (session lost, chunk refused).",
    next: "Check the registry, and the body limits of the proxy in front of it.",
    retry: "again",
  },
  TARGET_TOO_LARGE: {
    class: "target",
    meaning: "The target, or the proxy in front of it, does not accept a body of this size (413).",
    next: "Raise the body limit in front of the registry.",
  },
  TARGET_DIGEST: {
    class: "target",
    meaning: "The target says that the bytes it received do not match their digest.",
    next: "A proxy between Tagferry and the target changes content: check it.",
    retry: "again",
  },
  TARGET_REJECTED: {
    class: "target",
    meaning: "The target rejects the manifest.",
    next: "Read the reason of the registry in the message.",
  },
  TARGET_BLOB_UNKNOWN: {
    class: "target",
    meaning: "The target says that it lacks something that the manifest names, although it was sent twice.",
    next: "Check the storage and the garbage collection of the target. Tagferry tries again at the next run.",
    retry: "again",
  },
  TARGET_READBACK: {
    class: "target",
    meaning: "The tag was written, but the target shows another digest for it.",
    next: "Check whether another program writes this tag, or the target converts manifests.",
  },
  TARGET_UNPROVEN: {
    class: "target",
    meaning: "The target answered a push with something other than 201, and what was pushed is not there.",
    next: "Look at the proxy in front of the target; it is tried again at the next run.",
    retry: "again",
  },
  TARGET_NOT_A_REGISTRY: {
    class: "target",
    meaning: "The target accepts everything and stores nothing.",
    next: "Check the host name: this is not a registry.",
  },
  IMAGE_TOO_LARGE: {
    class: "policy",
    meaning: "The image is larger than `maxImageSize` allows. No byte was copied.",
    next: "Raise `maxImageSize` of the mirror (or --max-image-size), or do not mirror this tag.",
  },
  TARGET_QUOTA: {
    class: "policy",
    meaning: "The target has no space left for this project: a quota or a limit range is reached.",
    next: "Ask for a larger quota, or mirror fewer tags.",
    retry: "later",
  },
  TARGET_READONLY: {
    class: "target",
    meaning: "The target is read-only at the moment.",
    next: "Nothing to do: Tagferry tries again at the next run.",
    retry: "later",
  },
  TARGET_IMMUTABLE: {
    class: "policy",
    meaning: "The tag is immutable at the target and points to another image.",
    next: "Change the immutability rule for this tag, or do not mirror it.",
  },
  TARGET_PROJECT: {
    class: "target",
    meaning: "The project or namespace does not exist at the target.",
    next: "Create the project {project}, then run again.",
  },
  TARGET_UNSUPPORTED: {
    class: "target",
    meaning: "The target cannot store content of this kind (media type, sparse index, digest algorithm).",
    next: "Use another target for this image.",
  },
  OUTCOME_UNKNOWN: {
    class: "target",
    meaning:
      "The gateway gave up while the target was still working (504), and the result could not be found out.",
    next: "Raise the timeout of the gateway. Tagferry tries again at the next run.",
    retry: "later",
  },
} as const satisfies Record<string, CodeFacts>;
