import type { CodeFacts } from "../facts.ts";

/** The configuration file. */
export const CONFIG_CODES = {
  CONFIG_INVALID: {
    class: "usage",
    meaning: "The configuration has one or more problems. Each is listed with its own code.",
    next: "Fix the lines that are listed, then run `tagferry validate`.",
  },
  CONFIG_NOT_FOUND: {
    class: "usage",
    meaning: "There is no configuration file at this path.",
    next: "Name the file with --config, set $TAGFERRY_CONFIG, or write one with `tagferry init`.",
  },
  CONFIG_NOT_FILE: {
    class: "usage",
    meaning: "The path is a directory, a pipe or a device.",
    next: "Name the file itself, such as tagferry.yaml in the directory.",
  },
  CONFIG_READ: {
    class: "usage",
    meaning: "The file cannot be read.",
    next: "Make it readable for the user who runs Tagferry.",
  },
  CONFIG_EMPTY: {
    class: "usage",
    meaning: "The file is empty.",
    next: "Write a first file with `tagferry init`.",
  },
  CONFIG_TOO_LARGE: {
    class: "usage",
    meaning: "The file is larger than 1 MiB.",
    next: "Split it by team or by registry.",
  },
  CONFIG_ENCODING: {
    class: "usage",
    meaning: "The file is not UTF-8 text, or contains a NUL byte.",
    next: "Save it as UTF-8 without a byte order mark.",
  },
  CONFIG_SYNTAX: {
    class: "usage",
    meaning: "The file is not valid YAML.",
    next: "Fix the line. Indent YAML with spaces, not with tabs.",
  },
  CONFIG_MULTIPLE_DOCUMENTS: {
    class: "usage",
    meaning: "The file contains several YAML documents.",
    next: "Keep one document, and remove the `---` lines.",
  },
  CONFIG_DUPLICATE_KEY: {
    class: "usage",
    meaning: "A key occurs twice in one map.",
    next: "Keep one of the two lines.",
  },
  CONFIG_UNKNOWN_KEY: {
    class: "usage",
    meaning: "The key is unknown.",
    next: "Use the name that is suggested, or see docs/config.md.",
  },
  CONFIG_TYPE: {
    class: "usage",
    meaning: "The value has the wrong type.",
    next: 'Write the value as the message says. Quote text such as "1.10" or "yes".',
  },
  CONFIG_ALIAS: {
    class: "usage",
    meaning: "YAML anchors, aliases and merge keys are not accepted.",
    next: "Write the values out, or put them under `defaults`.",
  },
  CONFIG_DEPTH: {
    class: "usage",
    meaning: "The file is nested deeper than 32 levels.",
    next: "Reduce the nesting.",
  },
  CONFIG_RESERVED_KEY: {
    class: "usage",
    meaning: "`__proto__`, `constructor` and `prototype` are not accepted as keys.",
    next: "Remove the key.",
  },
  CONFIG_ENVIRONMENT: {
    class: "usage",
    meaning: "A value contains `${NAME}`, and the variable is unset or empty.",
    next: "Set the variable, or write a default: ${NAME:-default}.",
  },
  CONFIG_SECRET: {
    class: "usage",
    meaning: "A file with a secret is missing, empty or unreadable.",
    next: "Write the secret into a file at this path that Tagferry can read. Its content is never shown.",
  },
  CONFIG_INLINE_SECRET: {
    class: "usage",
    meaning: "The configuration file contains a password or token.",
    next: "Write the secret into another file and name that file with passwordFile.",
  },
  CONFIG_REGISTRY: {
    class: "usage",
    meaning: "This is not the host of a registry.",
    next: "Write host or host:port (or host/path for a project), without scheme, query or user.",
  },
  CONFIG_UNUSED: {
    class: "usage",
    meaning: "Warning: no mirror uses this registry, so its settings have no effect.",
    next: "Check the spelling, or remove the entry.",
  },
  CONFIG_KUBECONFIG: {
    class: "usage",
    meaning:
      "Warning: mirrors write image streams, and there is no kubeconfig and no service account of a pod.",
    next: "Run `oc login`, or set clusters.*.kubeconfigFile to an existing file. In a pod, nothing is needed.",
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
    next: "Use lower-case letters and digits, with `.`, `_`, `-` or `/` between them, at most 255 characters.",
  },
  CONFIG_TAG: {
    class: "usage",
    meaning: "This is not a tag.",
    next: "Use letters, digits, `.`, `_` and `-`, at most 128 characters. The first character is not `.` or `-`.",
  },
  CONFIG_DIGEST: {
    class: "usage",
    meaning: "This is not a digest.",
    next: "Write sha256: and 64 lower-case hexadecimal digits.",
  },
  CONFIG_REGEX: {
    class: "usage",
    meaning: "The regular expression is not valid.",
    next: "Correct the part that `found` names. In front of ( ) [ ] { } . + * ? and | as text, write a backslash.",
  },
  CONFIG_REGEX_UNSAFE: {
    class: "usage",
    meaning:
      "The regular expression is longer than 1,000 characters, or uses lookaround or backreferences, which need more than linear time.",
    next: "Select with `glob`, `semver` or a simpler `regex`, and name what is not wanted in `exclude`.",
  },
  CONFIG_FILTER: {
    class: "usage",
    meaning: "A glob or a semver range is not valid.",
    next: "Write the glob or the range as the examples in docs/config.md.",
  },
  FILTER_EMPTY: {
    class: "usage",
    meaning: "Warning: the rules select no tag of the source. Nothing is deleted because of this.",
    next: "Run `tagferry plan --explain` to see which rule dropped each tag.",
  },
  CONFIG_SELF: {
    class: "usage",
    meaning: "Source and target are the same.",
    next: "Write another repository as `source`, or as `target`.",
  },
  CONFIG_OVERLAP: {
    class: "usage",
    meaning: "Two mirrors write the same tag of the same target.",
    next: "Remove the tag from one of them.",
  },
  CONFIG_PRUNE: {
    class: "usage",
    meaning:
      "Pruning is not possible with this target or these rules (Tagferry owns no tags at registries and oci: targets).",
    next: "Remove `prune`, or mirror into an image stream.",
  },
  CONFIG_CRON: {
    class: "usage",
    meaning: "The schedule is not valid, or never fires.",
    next: 'Write five fields: minute hour day-of-month month day-of-week, such as "*/30 * * * *".',
  },
  CONFIG_CRON_BOTH_DAYS: {
    class: "usage",
    meaning:
      "Warning: the schedule has a day of the month and a day of the week. It fires only when both match; crontab fires when one matches.",
    next: "Write * for one of them, or keep both if you want both to match.",
  },
  CONFIG_TIME_ZONE: {
    class: "usage",
    meaning: "The time zone is unknown.",
    next: "Use an IANA name such as Europe/Berlin or UTC.",
  },
  CONFIG_LISTEN: {
    class: "usage",
    meaning: "The address is not valid, or other machines can reach it and there is no token.",
    next: "Write HOST:PORT. For an address other than loopback, set tokenFile too.",
  },
  CONFIG_REDIS: {
    class: "usage",
    meaning: "This is not the address of a Redis.",
    next: "Write redis://HOST:PORT.",
  },
  CONFIG_STATE: {
    class: "usage",
    meaning: "The file sets both daemon.redis and daemon.stateFile.",
    next: "Keep daemon.redis for several processes, or daemon.stateFile for one.",
  },
  CONFIG_DURATION: {
    class: "usage",
    meaning: "This is not a duration.",
    next: "Write a whole number and a unit: 30s, 15m, 12h, 90d.",
  },
  CONFIG_RANGE: {
    class: "usage",
    meaning: "The number is out of range.",
    next: "Write a number in the range that is allowed.",
  },
  CONFIG_PLATFORM: {
    class: "usage",
    meaning: "The platform is unknown, or cannot be chosen for this target.",
    next: "Write os/architecture[/variant], for example linux/amd64; `allowed` lists them.",
  },
  CONFIG_CA: {
    class: "usage",
    meaning: "The CA file is not PEM, contains no certificate, or its certificate has expired.",
    next: "Name a PEM file with the certificate of the authority that signed the registry's certificate.",
  },
  CONFIG_CLIENT_CERTIFICATE: {
    class: "usage",
    meaning: "Client certificate and key do not match, one of them is missing, or the key is encrypted.",
    next: "Set both clientCertificate and clientKey to PEM files. The key must have no passphrase.",
  },
  CONFIG_INSECURE: {
    class: "usage",
    meaning:
      "`insecure` or `plainHttp` is set together with a CA or certificate, together with the other, or for docker.io.",
    next: "Keep one of them.",
  },
  CONFIG_KUBERNETES_NAME: {
    class: "usage",
    meaning:
      "The name of the namespace or the image stream is not valid in Kubernetes or in the integrated registry.",
    next: "Use lower-case letters and digits with single `-`, `.` or `_` between them (namespaces: only `-`, at most 63 characters).",
  },
  CONFIG_VERSION: {
    class: "usage",
    meaning: "This Tagferry cannot read this version of the file.",
    next: "Write `version: 1`, or use a newer Tagferry.",
  },
} as const satisfies Record<string, CodeFacts>;
