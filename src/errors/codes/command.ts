import type { CodeFacts } from "../facts.ts";

/** The command line, this machine, and bugs. */
export const COMMAND_CODES = {
  USAGE: {
    class: "usage",
    meaning: "The command line is not valid.",
    next: "Run `tagferry --help`.",
  },
  OUTPUT_PATH: {
    class: "usage",
    meaning: "The output path cannot be written, or something else exists there.",
    next: "Use another path, or make this one writable.",
  },
  DISK_FULL: {
    class: "environment",
    meaning: "The file system has too little space.",
    next: "Free space on the file system that the message names, then run again: finished blobs are kept.",
    retry: "later",
  },
  DISK: {
    class: "environment",
    meaning: "The file system refused a read or a write.",
    next: "Check the path that the message names, its permissions and its disk, then run again.",
  },
  NODE_VERSION: {
    class: "environment",
    meaning: "Node is older than 24.12.",
    next: "Run `npm ci` in the checkout: it installs the right Node.",
  },
  PROGRAM_FORM: {
    class: "usage",
    meaning:
      "The form of the program that runs here, or that TAGFERRY_FORM names, is missing or older than its sources.",
    next: "Run `npm run build` in the checkout, or unset TAGFERRY_FORM.",
  },
  PROXY_INVALID: {
    class: "usage",
    meaning: "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY is not a valid proxy address.",
    next: "Write it as http://HOST:PORT, or unset it.",
  },
  PROXY_REFUSED: {
    class: "environment",
    meaning: "The proxy refused the connection (407, or another answer to CONNECT).",
    next: "Write the proxy's credentials in its URL, or add the registry to NO_PROXY.",
  },
  ABORTED: {
    class: "environment",
    meaning: "The work was stopped before it was finished, by a signal or by its caller.",
    next: "Run again: finished blobs are kept, and no tag points to an incomplete image.",
  },
  INTERNAL: {
    class: "environment",
    meaning: "An unexpected error: a bug in Tagferry.",
    next: "Run again with `--log-level debug` and report what it prints.",
  },
  MIRROR_UNKNOWN: {
    class: "usage",
    meaning: "There is no mirror with this name.",
    next: "Write one of the names that are allowed, or none for all mirrors.",
  },
  REFERENCE_INVALID: {
    class: "usage",
    meaning: "This is not an image reference.",
    next: "Write registry/repository:tag, registry/repository@DIGEST, or oci:DIR:tag.",
  },
} as const satisfies Record<string, CodeFacts>;
