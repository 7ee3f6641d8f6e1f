import type { CodeFacts } from "../facts.ts";

/** The configuration file. */
export const CONFIG_CODES = {
  CONFIG_INVALID: {
    class: "usage",
    meaning: "The configuration has one or more problems, each listed with its own code.",
    next: "Mend the lines that are listed, then run `tagferry validate`.",
  },
  CONFIG_NOT_FOUND: {
    class: "usage",
    meaning: "There is no configuration file at this path.",
    next: "Pass it with --config, set $TAGFERRY_CONFIG, or write ./tagferry.yaml (config/quickstart.yaml is a start).",
  },
  CONFIG_NOT_FILE: {
    class: "usage",
    meaning: "The path is a directory, a pipe or a device.",
    next: "Name a regular file.",
  },
  CONFIG_READ: {
    class: "usage",
    meaning: "The file cannot be read.",
    next: "Make it readable for the user who runs Tagferry.",
  },
  CONFIG_EMPTY: {
    class: "usage",
    meaning: "The file says nothing.",
    next: "Start from config/quickstart.yaml.",
  },
  CONFIG_TOO_LARGE: {
    class: "usage",
    meaning: "The file is larger than 1 MiB.",
    next: "Split it by team or by registry.",
  },
  CONFIG_ENCODING: {
    class: "usage",
    meaning: "The file is not UTF-8 text, or has a NUL byte.",
    next: "Save it as UTF-8 without byte order mark.",
  },
  CONFIG_SYNTAX: {
    class: "usage",
    meaning: "The file is not YAML.",
    next: "Mend the line; YAML is indented by spaces, never by tabs.",
  },
  CONFIG_MULTIPLE_DOCUMENTS: {
    class: "usage",
    meaning: "The file holds several YAML documents.",
    next: "Keep one, without a `---` between.",
  },
  CONFIG_DUPLICATE_KEY: {
    class: "usage",
    meaning: "A key stands twice in one map.",
    next: "Keep one of the two lines.",
  },
  CONFIG_UNKNOWN_KEY: {
    class: "usage",
    meaning: "The key is not one we know.",
    next: "Use the name that is suggested, or look it up in docs/config.md.",
  },
  CONFIG_TYPE: {
    class: "usage",
    meaning: "The value has the wrong type.",
    next: 'Write it as the message says; quote text such as "1.10" or "yes".',
  },
  CONFIG_ALIAS: {
    class: "usage",
    meaning: "YAML anchors, aliases and merge keys are not accepted.",
    next: "Write the values out, or put them under `defaults`.",
  },
  CONFIG_DEPTH: { class: "usage", meaning: "The file is nested deeper than 32 levels.", next: "Flatten it." },
  CONFIG_RESERVED_KEY: {
    class: "usage",
    meaning: "`__proto__`, `constructor` and `prototype` are never keys.",
    next: "Remove the key.",
  },
  CONFIG_ENVIRONMENT: {
    class: "usage",
    meaning: "`${NAME}` stands in a value and the variable is unset or empty.",
    next: "Set it, or give a default as ${NAME:-default}.",
  },
  CONFIG_SECRET: {
    class: "usage",
    meaning: "A file that holds a secret is missing, empty or unreadable.",
    next: "Create it, or make it readable; its content is never shown.",
  },
  CONFIG_INLINE_SECRET: {
    class: "usage",
    meaning: "A password or token stands in the file itself.",
    next: "Put it into a file and name that with passwordFile.",
  },
  CONFIG_REGISTRY: {
    class: "usage",
    meaning: "This is not the host of a registry.",
    next: "Write host or host:port (or host/path for a project), without scheme, query or user.",
  },
  CONFIG_PORT: {
    class: "usage",
    meaning: "The port is not between 1 and 65535.",
    next: "Write host:port, or leave the port out.",
  },
  CONFIG_ALIAS_CONFLICT: {
    class: "usage",
    meaning: "Two keys name the same registry (docker.io, index.docker.io, registry-1.docker.io).",
    next: "Keep docker.io.",
  },
  CONFIG_REPOSITORY: {
    class: "usage",
    meaning: "This is not a repository name.",
    next: "Use lower-case letters, digits, `.`, `_`, `-` and `/` between them, 255 characters at most.",
  },
  CONFIG_TAG: {
    class: "usage",
    meaning: "This is not a tag.",
    next: "Use letters, digits, `.`, `_`, `-`, not first `.` or `-`, 128 characters at most.",
  },
  CONFIG_DIGEST: {
    class: "usage",
    meaning: "This is not a digest.",
    next: "Write sha256: and 64 lower-case hexadecimal digits.",
  },
  CONFIG_REGEX: {
    class: "usage",
    meaning: "The regular expression does not compile.",
    next: "Mend it at the position that is shown.",
  },
  CONFIG_REGEX_UNSAFE: {
    class: "usage",
    meaning:
      "The regular expression is longer than 1,000 characters or uses lookaround or backreferences, which take more than linear time.",
    next: "Use RE2 syntax, a glob or a semver range.",
  },
  CONFIG_FILTER: {
    class: "usage",
    meaning: "A glob or a semver range is not valid.",
    next: "Mend it; the message says what was not understood.",
  },
  FILTER_EMPTY: {
    class: "usage",
    meaning: "Warning: the rules match no tag at the source. Nothing is deleted for it.",
    next: "Run `tagferry plan --explain` to see which rule dropped each tag.",
  },
  CONFIG_SELF: { class: "usage", meaning: "The source is its own target.", next: "Change one of the two." },
  CONFIG_OVERLAP: {
    class: "usage",
    meaning: "Two mirrors write one tag of one target.",
    next: "Give the tag to one of them.",
  },
  CONFIG_PRUNE: {
    class: "usage",
    meaning: "Pruning is not possible as it is configured (nothing is owned at registry and oci: targets).",
    next: "Remove `prune`, or mirror into an image stream.",
  },
  CONFIG_CRON: {
    class: "usage",
    meaning: "The schedule is not valid or never fires.",
    next: "Write five fields: minute hour day-of-month month day-of-week.",
  },
  CONFIG_CRON_BOTH_DAYS: {
    class: "usage",
    meaning:
      "The schedule names a day of the month and a day of the week: it fires only where both are true (in crontab one would do).",
    next: "Write * for one of them, or keep both if that is meant.",
  },
  CONFIG_TIME_ZONE: {
    class: "usage",
    meaning: "The time zone is unknown.",
    next: "Use an IANA name such as Europe/Berlin or UTC.",
  },
  CONFIG_LISTEN: {
    class: "usage",
    meaning: "The daemon cannot listen there, or must not without a token.",
    next: "Write HOST:PORT; beyond loopback name a tokenFile too.",
  },
  CONFIG_REDIS: {
    class: "usage",
    meaning: "This is not the address of a Redis.",
    next: "Write redis://HOST:PORT.",
  },
  CONFIG_STATE: {
    class: "usage",
    meaning: "Two places are named for what the daemon remembers.",
    next: "Keep daemon.redis for several processes, or daemon.stateFile for one.",
  },
  CONFIG_DURATION: {
    class: "usage",
    meaning: "This is not a duration.",
    next: "Write a whole number and a unit: 30s, 15m, 12h, 90d.",
  },
  CONFIG_RANGE: {
    class: "usage",
    meaning: "The number is outside what is allowed.",
    next: "Use a number in the range that is shown.",
  },
  CONFIG_PLATFORM: {
    class: "usage",
    meaning: "The platform is unknown, or cannot be chosen for this target.",
    next: "Use os/architecture[/variant], for example linux/amd64; see the list in the message.",
  },
  CONFIG_CA: {
    class: "usage",
    meaning: "The CA file is not PEM, has no certificate, or one that expired.",
    next: "Name a PEM file with the certificate of the authority that signed the registry's.",
  },
  CONFIG_CLIENT_CERTIFICATE: {
    class: "usage",
    meaning: "Client certificate and key do not belong together, one is missing, or the key is encrypted.",
    next: "Give both clientCertificate and clientKey, PEM, the key without passphrase.",
  },
  CONFIG_INSECURE: {
    class: "usage",
    meaning:
      "`insecure` or `plainHttp` together with a CA or certificate, with one another, or for docker.io.",
    next: "Keep one of them.",
  },
  CONFIG_KUBERNETES_NAME: {
    class: "usage",
    meaning: "Namespace or image stream name is not valid in Kubernetes or in the integrated registry.",
    next: "Use lower-case letters and digits with single `-`, `.` or `_` between them (namespaces: `-` only, 63 characters at most).",
  },
  CONFIG_VERSION: {
    class: "usage",
    meaning: "The file's version is not one this Tagferry reads.",
    next: "Write `version: 1`, or use a newer Tagferry.",
  },
} as const satisfies Record<string, CodeFacts>;
