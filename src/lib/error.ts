import { redact } from "./redact.ts";

/** Where a failure belongs: it decides the exit code and the colour, never the retry. */
export type ErrorClass =
  | "usage" // the command line or the configuration
  | "credentials" // who we are was refused, or could not be told safely
  | "policy" // a rule of ours or of the registry says no; asking again changes nothing
  | "source" // the registry, layout or image we read
  | "target" // the registry, layout or cluster we write
  | "environment"; // this machine: disk, network, proxy, Node

type CodeFacts = {
  readonly class: ErrorClass;
  /** What it means, for `docs/errors.md`. */
  readonly meaning: string;
  /** What the reader does next. */
  readonly next: string;
  /** `again`: the same request may succeed now. `later`: when the registry says so, or at the next run. */
  readonly retry?: "again" | "later";
};

/**
 * The closed list of codes. A code is stable: scripts match on it, messages may change.
 * `docs/errors.md` is generated from this table.
 */
export const ERROR_CODES = {
  // The command line (reliability B1-B14)
  USAGE: {
    class: "usage",
    meaning: "The command line is not one we know.",
    next: "Run `tagferry --help`, or `tagferry COMMAND --help`.",
  },
  OUTPUT_PATH: {
    class: "usage",
    meaning: "The output path cannot be written, or is something else already.",
    next: "Name another path, or make this one writable.",
  },
  DISK_FULL: {
    class: "environment",
    meaning: "The file system has too little space.",
    next: "Free the space that is named, then run again: finished blobs are kept.",
    retry: "later",
  },
  DISK: {
    class: "environment",
    meaning: "The file system refused a read or a write.",
    next: "Look at the path that is named, its rights and its disk, then run again.",
  },
  NODE_VERSION: {
    class: "environment",
    meaning: "Node is older than 24.12.",
    next: "Run `npm ci` in the checkout: it brings the right Node.",
  },
  PROXY_INVALID: {
    class: "usage",
    meaning: "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY is not a proxy address we can use.",
    next: "Write it as http://host:port, or unset it.",
  },
  PROXY_REFUSED: {
    class: "environment",
    meaning: "The proxy refused the connection (407 or another answer to CONNECT).",
    next: "Give the proxy's credentials in its URL, or add the registry to NO_PROXY.",
  },
  ABORTED: {
    class: "environment",
    meaning: "The work was stopped before it was done (a signal, or its caller gave up).",
    next: "Run again: finished blobs are kept, no tag was left half done.",
  },
  INTERNAL: {
    class: "environment",
    meaning: "Something Tagferry did not expect: a bug.",
    next: "Run again with --log-level debug and report what it prints.",
  },

  // The configuration (reliability A1-A49)
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
  // The daemon
  LOCK_LOST: {
    class: "environment",
    meaning: "Another worker has taken the job, or this process is stopping; nothing was published.",
    next: "Nothing: the job is done elsewhere, or at the next run.",
    retry: "later",
  },
  QUEUE_AWAY: {
    class: "environment",
    meaning: "Redis cannot be reached, or refuses to write.",
    next: "Look at Redis: its address, its memory, its log. Mirrors that were due are checked when it is back.",
    retry: "again",
  },
  BUSY: {
    class: "environment",
    meaning: "Other workers use what is needed: the registry's rateLimit, or the upload of this very blob.",
    next: "Nothing: the work comes again by itself. If it is often so, raise `connections` or `requestsPerSecond`.",
    retry: "again",
  },
  REDIS_POLICY: {
    class: "environment",
    meaning: "Redis may throw data away when its memory is full; jobs would vanish.",
    next: "Set `maxmemory-policy noeviction`.",
  },
  QUARANTINED: {
    class: "environment",
    meaning:
      "Work on this tag ended three workers; it is left alone until somebody says so, or its digest changes.",
    next: "Look at the workers' logs (memory?), then press retry or call POST /api/v1/mirrors/NAME/retry.",
  },
  DAEMON_AWAY: {
    class: "environment",
    meaning: "No daemon answers, or what answers is none.",
    next: "Start `tagferry serve`, or name its address with `--url`.",
  },
  // The page, the API and webhooks (reliability E1-E11)
  WEB_UNAUTHORIZED: {
    class: "usage",
    meaning: "The request has no valid token, and the page no valid session.",
    next: "Send the daemon's token as `Authorization: Bearer …`, or log in on the page.",
  },
  WEB_ORIGIN: {
    class: "usage",
    meaning: "The request comes from another site, or under a name that is not this machine's.",
    next: "Act on the page itself; a program sends the token, or `Origin: http://HOST:PORT` of the daemon.",
  },
  WEB_REQUEST: {
    class: "usage",
    meaning: "A parameter of the request is not valid.",
    next: "Send what /api/v1/openapi.json describes.",
  },
  WEB_NOT_FOUND: {
    class: "usage",
    meaning: "There is nothing at this path.",
    next: "See /api/v1/openapi.json for what there is.",
  },
  WEB_METHOD: {
    class: "usage",
    meaning: "This path does not take this method: what changes something is a POST.",
    next: "Use a method that the header Allow names.",
  },
  WEB_TOO_LARGE: {
    class: "usage",
    meaning: "The body is larger than it may be (webhooks: 256 KiB).",
    next: "Send less.",
  },
  WEB_BUSY: {
    class: "environment",
    meaning: "Too many requests of this kind at once.",
    next: "Wait as long as Retry-After says.",
    retry: "later",
  },
  HOOK_SECRET: {
    class: "usage",
    meaning: "The webhook's secret is missing or wrong.",
    next: "Give the sender the secret of daemon.webhooks.secretFile.",
  },
  HOOK_BODY: {
    class: "usage",
    meaning: "The webhook's body is not JSON, or not what this sender sends.",
    next: "Send application/json to the path of its sender; /hooks/generic takes {repository, tag, at}.",
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

  // Credentials and authentication (reliability D3-D9, T1-T5)
  AUTH_DENIED: {
    class: "credentials",
    meaning: "The registry refused our credentials, or the anonymous request.",
    next: "Run `tagferry auth REGISTRY`: it shows which credentials win and whether they work.",
  },
  AUTH_NO_CHALLENGE: {
    class: "credentials",
    meaning: "The registry answered 401 without saying how to log in.",
    next: "Look at what stands in front of the registry; a registry sends WWW-Authenticate.",
  },
  AUTH_CHALLENGE: {
    class: "credentials",
    meaning: "The WWW-Authenticate header cannot be read, or offers nothing we can do (Bearer or Basic).",
    next: "Look at the registry's authentication settings.",
  },
  AUTH_REALM: {
    class: "credentials",
    meaning: "The registry sends us to a token server we do not give credentials to.",
    next: "If that host belongs to the registry, list it under tokenRealms of this registry.",
  },
  AUTH_TOKEN: {
    class: "credentials",
    meaning: "The token server did not answer with a token.",
    next: "Look at the token server; a login page or a proxy may stand in front of it.",
  },
  AUTH_HELPER: {
    class: "credentials",
    meaning: "The credential helper failed.",
    next: "Run docker-credential-NAME yourself and mend what it says.",
  },
  AUTH_FILE: {
    class: "credentials",
    meaning: "The docker or podman authentication file cannot be read.",
    next: "Log in again with `docker login` or `podman login`, or mend the file.",
  },
  DENIED: {
    class: "credentials",
    meaning: "The registry knows us and says no (403): this repository, this action.",
    next: "Ask for the right that is named.",
  },

  // What a registry answers (reliability D1-D60)
  REGISTRY_NOT_V2: {
    class: "source",
    meaning: "The host does not speak the registry protocol (404, HTML or a login page at /v2/).",
    next: "Look at the host name, the port and any proxy or login page in between.",
  },
  REGISTRY_UNREACHABLE: {
    class: "source",
    meaning: "No connection to the host (refused, reset, timed out).",
    next: "Look at network, proxy and firewall; it is tried again at the next run.",
    retry: "again",
  },
  REGISTRY_DNS: {
    class: "source",
    meaning: "The host name does not resolve.",
    next: "Look at the spelling and at the name server.",
    retry: "again",
  },
  REGISTRY_TLS: {
    class: "source",
    meaning:
      "The TLS connection failed: unknown authority, wrong name, expired certificate, or no TLS there.",
    next: "Name the authority with `ca` of this registry (or `plainHttp: true` where it speaks no TLS).",
  },
  REGISTRY_UNAVAILABLE: {
    class: "source",
    meaning: "The registry has trouble (5xx).",
    next: "Nothing: it is tried again; look at the registry if it stays.",
    retry: "again",
  },
  RATE_LIMITED: {
    class: "source",
    meaning: "The registry asks us to slow down (429, in any of its shapes).",
    next: "Wait until the time that is shown; log in, or lower connections and requestsPerSecond.",
    retry: "later",
  },
  STALLED: {
    class: "source",
    meaning: "The connection was open and nothing came, or nothing of what we sent was taken, for too long.",
    next: "Nothing: it is tried again; look at the network if it stays.",
    retry: "again",
  },
  HTTP_PROTOCOL: {
    class: "source",
    meaning: "The answer breaks HTTP, or is not one to this request.",
    next: "Look at the proxy in between; report the registry.",
    retry: "again",
  },
  REQUEST_REJECTED: {
    class: "source",
    meaning: "The registry rejected the request with a 4xx that has no code of its own here.",
    next: "Read the registry's reason in the message.",
  },
  REDIRECT_REFUSED: {
    class: "source",
    meaning:
      "A redirect goes where we do not follow: no Location, a loop, http from https, another scheme, a private address.",
    next: "Look at the chain that is shown; the registry or a proxy is misconfigured.",
  },
  LINK_FOREIGN: {
    class: "source",
    meaning: "The next page of a listing is on another host.",
    next: "Report the registry: a listing stays on its own host.",
  },
  NAME_UNKNOWN: {
    class: "source",
    meaning: "The repository does not exist, or is hidden from us.",
    next: "Look at the spelling; a private repository looks the same as none without credentials.",
  },
  MANIFEST_UNKNOWN: {
    class: "source",
    meaning: "The tag or digest does not exist in this repository.",
    next: "Look at the tag: `tagferry tags REPOSITORY` lists them.",
  },
  BLOB_UNKNOWN: {
    class: "source",
    meaning: "The blob does not exist in this repository.",
    next: "The image is broken at its registry: push it there again.",
  },
  TAGS_INVALID: {
    class: "source",
    meaning: "The tag listing is not one: not JSON, not an array, or names that are not tags.",
    next: "Look at what stands between us and the registry.",
    retry: "again",
  },
  TAGS_LIMIT: {
    class: "source",
    meaning: "The tag listing does not end: the same page again, or more than a million tags.",
    next: "Name exact tags (no listing is needed then), or report the registry.",
  },
  MANIFEST_EMPTY: {
    class: "source",
    meaning: "The manifest came without a byte.",
    next: "Push the image again at its registry.",
    retry: "again",
  },
  MANIFEST_NOT_JSON: {
    class: "source",
    meaning: "The manifest is not JSON (a login page, an error page).",
    next: "Look at what stands between us and the registry.",
  },
  MANIFEST_TOO_LARGE: {
    class: "source",
    meaning: "The manifest is larger than 8 MiB (reading) or 4 MiB (writing).",
    next: "Nothing here: registries accept no more either.",
  },
  MANIFEST_DEPTH: {
    class: "source",
    meaning: "The manifest is nested deeper than 64 levels.",
    next: "The image is malformed: build it again.",
  },
  MANIFEST_DUPLICATE_KEY: {
    class: "source",
    meaning: "A key stands twice in the manifest, so two readers could see two images.",
    next: "The image is malformed: build it again.",
  },
  MANIFEST_ENCODING: {
    class: "source",
    meaning: "The manifest is not UTF-8, or begins with a byte order mark.",
    next: "The image is malformed: build it again.",
  },
  MEDIA_TYPE: {
    class: "source",
    meaning: "The media type is missing, or header and body disagree.",
    next: "Look at the registry; a proxy may rewrite headers.",
  },
  MANIFEST_AMBIGUOUS: {
    class: "source",
    meaning: "The document is an image and an index at once.",
    next: "The image is malformed: build it again.",
  },
  MANIFEST_SCHEMA1: {
    class: "source",
    meaning: "The image is in the withdrawn schema 1 format.",
    next: "Pull and push it with a current tool, which converts it.",
  },
  MANIFEST_SHAPE: {
    class: "source",
    meaning: "The manifest lacks what its kind must have (config, layers, manifests).",
    next: "The image is malformed: build it again.",
  },
  MANIFEST_FANOUT: {
    class: "source",
    meaning: "The manifest names more than 10,000 layers or children.",
    next: "The image is malformed: build it again.",
  },
  DESCRIPTOR_SIZE: {
    class: "source",
    meaning: "A descriptor's size is missing or not a whole number below 2^53.",
    next: "The image is malformed: build it again.",
  },
  DESCRIPTOR_DIGEST: {
    class: "source",
    meaning: "A descriptor's digest is not one.",
    next: "The image is malformed: build it again.",
  },
  DESCRIPTOR_CONFLICT: {
    class: "source",
    meaning: "One digest stands in the manifest with two sizes.",
    next: "The image is malformed: build it again.",
  },
  DESCRIPTOR_DATA: {
    class: "source",
    meaning: "A descriptor's embedded data is not what its digest and size say.",
    next: "The image is malformed: build it again.",
  },
  FOREIGN_LAYER: {
    class: "source",
    meaning: "The target refuses the image because its foreign layers live elsewhere.",
    next: "Use a target that accepts foreign layers.",
  },
  INDEX_LOOP: {
    class: "source",
    meaning: "An index is nested deeper than 8 levels, or contains itself.",
    next: "The image is malformed: build it again.",
  },
  INDEX_PLATFORM: {
    class: "policy",
    meaning: "An entry of the index has no platform; image streams refuse such an index.",
    next: "Use storage: a repository elsewhere, or a registry target, for this image.",
  },
  SOURCE_BROKEN: {
    class: "source",
    meaning: "The source has the manifest but not all that it names.",
    next: "Push the image again at its registry; the other tags are not affected.",
  },
  PLATFORM_ABSENT: {
    class: "source",
    meaning: "The image has none of the platforms that are asked for.",
    next: "Choose from the platforms that are listed.",
  },
  DIGEST_MISMATCH: {
    class: "source",
    meaning: "The bytes are not those of the digest.",
    next: "The registry or a proxy in between alters content: look there. Nothing was published.",
  },
  DIGEST_HEADER: {
    class: "source",
    meaning: "The registry's digest header disagrees with the bytes it sends.",
    next: "The registry or a proxy converts manifests: look there. Nothing was published.",
  },
  BLOB_SHORT: {
    class: "source",
    meaning: "The blob ended before its size.",
    next: "Nothing: it is tried again; look at the network or the registry's storage if it stays.",
    retry: "again",
  },
  BLOB_LONG: {
    class: "source",
    meaning: "The blob is longer than its size.",
    next: "The registry or a proxy alters content: look there. Nothing was published.",
  },
  CONTENT_ENCODING: {
    class: "source",
    meaning: "The content came compressed although it was asked for as it is.",
    next: "Switch off compression in the proxy in between.",
  },
  RANGE: {
    class: "source",
    meaning: "The registry answers a Range request inconsistently.",
    next: "Report the registry; the blob was fetched again from its start.",
  },
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
  SOURCE_POLICY: {
    class: "policy",
    meaning: "The source refuses to hand out this image by a policy of its own (412).",
    next: "Read the registry's reason in the message.",
  },

  // Layouts
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

  // The cluster
  CLUSTER_CONFIG: {
    class: "usage",
    meaning: "No way to the cluster: no service account, no kubeconfig, or a context that does not exist.",
    next: "Run in the cluster, run `oc login`, or set clusters.*.kubeconfigFile.",
  },
  CLUSTER_UNREACHABLE: {
    class: "target",
    meaning: "The API server does not answer.",
    next: "Look at the address in the kubeconfig; it is tried again at the next run.",
    retry: "again",
  },
  CLUSTER_DENIED: {
    class: "credentials",
    meaning: "The API server refuses us (401 or 403).",
    next: "Grant the right that is named, for example: oc adm policy add-role-to-user registry-editor -z SERVICEACCOUNT -n NAMESPACE.",
  },
  CLUSTER_TOKEN: {
    class: "credentials",
    meaning: "The integrated registry needs a token and the kubeconfig has only a client certificate.",
    next: "Log in with `oc login --token`, or make a token with `oc create token SERVICEACCOUNT`.",
  },
  CLUSTER_ANSWER: {
    class: "target",
    meaning: "The API server's answer is not one we understand.",
    next: "Look at what stands between us and the API server.",
    retry: "again",
  },
  CLUSTER_REGISTRY: {
    class: "target",
    meaning: "The cluster has no integrated registry, or it cannot be reached from here.",
    next: "Set clusters.*.registry to its public route, or use storage: source or a repository.",
  },
  STREAM_NAMESPACE: {
    class: "target",
    meaning: "The namespace does not exist, or is being deleted.",
    next: "Create it: oc new-project NAMESPACE.",
  },
  STREAM_INVALID: {
    class: "target",
    meaning: "The API server refuses what we would write as invalid.",
    next: "Read what it says. A stream has room for the notes of about a thousand mirrored tags (256 KiB of annotations): beyond that, split the mirror over several streams.",
  },
  STREAM_CONFLICT: {
    class: "target",
    meaning: "Somebody else kept changing the stream.",
    next: "Nothing: it is decided again at the next run.",
    retry: "later",
  },
  STREAM_OWNED: {
    class: "policy",
    meaning: "Another installation or mirror owns this tag of the stream.",
    next: "Remove the tag there, or release it, then run again.",
  },
  STREAM_TAKEOVER: {
    class: "policy",
    meaning: "The tag exists and is not ours: it imports from elsewhere, or somebody pushed it.",
    next: "Set takeover: true on the mirror to make it ours.",
  },
  STREAM_TAG_KIND: {
    class: "policy",
    meaning: "The tag is a reference or follows another tag; mirroring into it would be undone.",
    next: "Remove the spec tag, or mirror into another tag.",
  },
  STREAM_CONTESTED: {
    class: "policy",
    meaning: "Something puts back the spec tag that we took over.",
    next: "Take the tag out of what writes it (the field manager is named).",
  },
  STREAM_IMPORT: {
    class: "target",
    meaning: "The cluster could not import the image.",
    next: "Read the reason; a private source needs a pull secret in the namespace: oc create secret docker-registry …",
  },
  STREAM_IMPORT_MOVED: {
    class: "target",
    meaning: "The import brought another digest than the one that was planned.",
    next: "Nothing: it is decided again at the next run.",
    retry: "later",
  },

  // The plan
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
  MIRROR_UNKNOWN: {
    class: "usage",
    meaning: "There is no mirror of this name.",
    next: "Use a name that is listed.",
  },
  REFERENCE_INVALID: {
    class: "usage",
    meaning: "This is not an image reference.",
    next: "Write registry/repository:tag or registry/repository@sha256:…, or oci:DIR:tag.",
  },
} as const satisfies Record<string, CodeFacts>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Facts of a failure: JSON-safe, for the log line and `-o json`. No secrets. */
export type Details = Readonly<Record<string, unknown>>;

/**
 * The one error of this program.
 *
 * The message says operation and subject; `details` holds the facts. Details that a person reads have fixed names:
 * `where` (file:line:col, or registry/repository:tag), `found`, `allowed`, `next` (overrides the code's own advice).
 * A registry's `retryAt` is an ISO date.
 */
export class TagferryError extends Error {
  override readonly name = "SyncError";
  readonly code: ErrorCode;
  readonly details: Details;

  constructor(
    code: ErrorCode,
    message: string,
    { cause, ...details }: Details & { readonly cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? {} : { cause });
    this.code = code;
    this.details = details;
  }
}

export function isTagferryError(error: unknown, ...codes: readonly ErrorCode[]): error is TagferryError {
  return error instanceof TagferryError && (codes.length === 0 || codes.includes(error.code));
}

export function facts(code: ErrorCode): CodeFacts {
  return ERROR_CODES[code];
}

/** Everything thrown becomes a SyncError here: an abort stays one, a bug is called a bug. */
export function asTagferryError(error: unknown): TagferryError {
  if (error instanceof TagferryError) return error;
  // closing failed too, mostly for the same reason: what happened first is what a person needs
  if (error instanceof SuppressedError) return asTagferryError(error.suppressed);
  if (error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError"))
    return new TagferryError("ABORTED", "stopped", { cause: error });
  const message = error instanceof Error ? error.message : String(error);
  return new TagferryError("INTERNAL", `unexpected: ${message}`, { cause: error });
}

/** A failure as a plain record: what an Outcome holds and `-o json` prints. */
export type Failure = {
  readonly code: ErrorCode;
  readonly message: string;
  readonly next: string;
  readonly details: Details;
};

/** Without secrets: what a registry says of us is in there. */
export function failureOf(error: unknown): Failure {
  const { code, message, details } = asTagferryError(error);
  const { next = ERROR_CODES[code].next, ...others } = details;
  return {
    code,
    message: printable(String(redact(message))),
    next: String(next),
    details: redact(others) as Details,
  };
}

/** Text from outside made safe to print: control and bidi characters escaped, length bounded. */
export function printable(text: string, { maxLength = 2_000 }: { readonly maxLength?: number } = {}): string {
  const safe = text.replaceAll(
    // oxlint-disable-next-line no-control-regex -- these are what must not reach a terminal
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return safe.length > maxLength ? `${safe.slice(0, maxLength)}…` : safe;
}
