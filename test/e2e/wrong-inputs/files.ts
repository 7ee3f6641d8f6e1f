import type { ErrorCode } from "../../../src/errors/codes.ts";

/** A configuration file with one mistake. */
export type WrongFile = {
  /** What the person did. */
  readonly what: string;
  /** The lines with the mistake. */
  readonly text: string;
  /** Where these lines are in an otherwise right file; `file`: they are all of it. */
  readonly within: "file" | "top" | "mirror" | "registry" | "cluster" | "daemon";
  readonly code: ErrorCode;
  /** Keys of the mirror that the lines replace, besides those that they write. */
  readonly without?: string;
};

const LINES: Readonly<Record<string, string>> = {
  source: "source: quay.io/team/app",
  target: "target: imagestream:web/app",
  tags: "tags: [latest]",
};

/** The whole file of a case. */
export function fileOf({ text, within, without }: WrongFile): string {
  if (within === "file") return text;
  const isMirror = within === "mirror";
  const dropped = [...(isMirror ? [...text.matchAll(/^(\w+):/gm)].map(([, key]) => key) : []), without];
  const kept = Object.entries(LINES).flatMap(([key, line]) => (dropped.includes(key) ? [] : [line]));
  const mirror = [...(isMirror ? [text] : []), ...kept].join("\n").replaceAll("\n", "\n    ");
  const file = `version: 1\nmirrors:\n  - ${mirror}\n`;
  if (isMirror) return file;
  const headers = { registry: "registries:\n  ", cluster: "clusters:\n  ", daemon: "daemon:\n  ", top: "" };
  const header = headers[within];
  return `${file}${header}${text.replaceAll("\n", header === "" ? "\n" : "\n  ")}\n`;
}

type Row = readonly [what: string, text: string, code: ErrorCode, without?: string];

const rows = (within: WrongFile["within"], list: readonly Row[]): WrongFile[] =>
  list.map(([what, text, code, without]) => ({
    within,
    what,
    text,
    code,
    ...(without === undefined ? {} : { without }),
  }));

export const WRONG_FILES: readonly WrongFile[] = [
  ...rows("file", [
    ["an empty file", "", "CONFIG_EMPTY"],
    ["only comments", "# version: 1\n# mirrors: []\n", "CONFIG_EMPTY"],
    ["a list of mirrors as the file", "- source: quay.io/a/b\n  target: imagestream:web/b\n", "CONFIG_TYPE"],
    ["a text file", "hello\n", "CONFIG_TYPE"],
    [
      "the version as Kubernetes writes it",
      "apiVersion: 1\nmirrors:\n  - {source: quay.io/a/b, target: 'imagestream:web/b', tags: [a]}\n",
      "CONFIG_UNKNOWN_KEY",
    ],
    [
      "no version",
      "mirrors:\n  - {source: quay.io/a/b, target: 'imagestream:web/b', tags: [a]}\n",
      "CONFIG_VERSION",
    ],
    [
      "a version as text",
      'version: "1"\nmirrors:\n  - {source: quay.io/a/b, target: "imagestream:web/b", tags: [a]}\n',
      "CONFIG_VERSION",
    ],
    [
      "a version that does not exist",
      "version: 2\nmirrors:\n  - {source: quay.io/a/b, target: 'imagestream:web/b', tags: [a]}\n",
      "CONFIG_VERSION",
    ],
    ["no mirrors", "version: 1\n", "CONFIG_TYPE"],
    ["an empty list of mirrors", "version: 1\nmirrors: []\n", "CONFIG_TYPE"],
    ["a map of mirrors", "version: 1\nmirrors:\n  app:\n    source: quay.io/a/b\n", "CONFIG_TYPE"],
    ["tabs for indentation", "version: 1\nmirrors:\n\t- source: quay.io/a/b\n", "CONFIG_SYNTAX"],
    [
      "a quote that is not closed",
      'version: 1\nmirrors:\n  - source: "quay.io/a/b\n    tags: [a]\n',
      "CONFIG_SYNTAX",
    ],
    [
      "a bracket that is not closed",
      "version: 1\nmirrors:\n  - source: quay.io/a/b\n    tags: [a, b\n    target: oci:x\n",
      "CONFIG_SYNTAX",
    ],
    [
      "a key that is indented too little",
      "version: 1\nmirrors:\n  - source: quay.io/a/b\n   target: oci:x\n",
      "CONFIG_SYNTAX",
    ],
    ["no space after the colon", "version: 1\nmirrors:\n  - source:quay.io/a/b\n", "CONFIG_TYPE"],
    ["two documents", "version: 1\nmirrors: []\n---\nversion: 1\nmirrors: []\n", "CONFIG_MULTIPLE_DOCUMENTS"],
  ]),
  ...rows("top", [
    ["a key twice", "version: 1", "CONFIG_DUPLICATE_KEY"],
    ["a misspelt section", "registry:\n  quay.io: {}", "CONFIG_UNKNOWN_KEY"],
    ["a schedule at the top", 'schedule: "0 * * * *"', "CONFIG_UNKNOWN_KEY"],
    ["a source as default", "defaults: {source: quay.io/a/b}", "CONFIG_UNKNOWN_KEY"],
    ["a section without content", "defaults:", "CONFIG_TYPE"],
  ]),
  ...rows("mirror", [
    ["no source", "name: app", "CONFIG_TYPE", "source"],
    ["a misspelt key", "sorce: quay.io/team/app", "CONFIG_UNKNOWN_KEY", "source"],
    ["a key in another case", "Target: imagestream:web/app", "CONFIG_UNKNOWN_KEY", "target"],
    ["a singular key", "tag: latest", "CONFIG_UNKNOWN_KEY", "tags"],
    ["a key of another tool", "interval: 1h", "CONFIG_UNKNOWN_KEY"],
    ["a variable that is not set", "source: ${HUB}/team/app", "CONFIG_ENVIRONMENT"],
    ["an address of the browser", "source: https://quay.io/team/app", "CONFIG_REGISTRY"],
    ["a scheme of skopeo", "source: docker://quay.io/team/app", "CONFIG_REGISTRY"],
    ["capitals in a repository", "source: quay.io/Team/App", "CONFIG_REPOSITORY"],
    ["a tag in the source", "source: quay.io/team/app:1.27", "CONFIG_REPOSITORY"],
    ["a host without a repository", "source: quay.io", "CONFIG_REPOSITORY"],
    ["a port that does not exist", "source: quay.example:70000/team/app", "CONFIG_PORT"],
    ["a port in words", "source: quay.example:https/team/app", "CONFIG_PORT"],
    ["a list of sources", "source: [quay.io/team/app]", "CONFIG_TYPE"],
    ["a target without a registry", "target: web/app", "CONFIG_REGISTRY"],
    ["a stream without a namespace", "target: imagestream:app", "CONFIG_KUBERNETES_NAME"],
    ["a stream with a tag", "target: imagestream:web/app:latest", "CONFIG_KUBERNETES_NAME"],
    ["an underscore in a namespace", "target: imagestream:my_team/app", "CONFIG_KUBERNETES_NAME"],
    ["a misspelt scheme", "target: imagestraem:web/app", "CONFIG_KUBERNETES_NAME"],
    ["source and target are the same", "target: quay.io/team/app", "CONFIG_SELF"],
    ["a storage without a registry", "storage: mirror/app", "CONFIG_REGISTRY"],
    ["one tag without a list", "tags: latest", "CONFIG_TYPE"],
    ["a version that YAML reads as a number", "tags: [1.10]", "CONFIG_TYPE"],
    ["a glob in the list of tags", 'tags: ["1.*"]', "CONFIG_TAG"],
    ["a colon before the tag", 'tags: [":latest"]', "CONFIG_TAG"],
    ["a list without tags", "tags: []", "CONFIG_TYPE"],
    ["rules without a rule", "tags: {newest: 3}", "CONFIG_FILTER"],
    ["a range that is not one", 'tags: {semver: "1.27 or newer"}', "CONFIG_FILTER"],
    ["a regular expression that is not closed", 'tags: {regex: "v(1|2"}', "CONFIG_REGEX"],
    ["a lookahead", 'tags: {regex: "(?!rc).*"}', "CONFIG_REGEX_UNSAFE"],
    ["a negative number", "tags: {glob: '*', newest: -1}", "CONFIG_RANGE"],
    ["a duration without a unit", "tags: {glob: '*', since: 90}", "CONFIG_TYPE"],
    ["a duration in words", "deadline: ten minutes", "CONFIG_DURATION"],
    ["a word for a schedule", "schedule: hourly", "CONFIG_CRON"],
    ["an hour that does not exist", 'schedule: "0 25 * * *"', "CONFIG_CRON"],
    ["a schedule with a field too few", 'schedule: "0 * * *"', "CONFIG_CRON"],
    ["a schedule that starts with a star, unquoted", "schedule: */30 * * * *", "CONFIG_SYNTAX"],
    ["a day that never comes", 'schedule: "0 0 31 2 *"', "CONFIG_CRON"],
    ["a time zone that does not exist", "schedule: 0 1 * * *\ntimeZone: Berlin", "CONFIG_TIME_ZONE"],
    ["yes for true", "takeover: yes", "CONFIG_TYPE"],
    ["a size without a unit", "maxImageSize: 500", "CONFIG_TYPE"],
    ["an architecture without the system", "platforms: [amd64]", "CONFIG_PLATFORM"],
    ["an architecture of the kernel", "platforms: [linux/x86_64]", "CONFIG_PLATFORM"],
    ["true where a map belongs", "prune: true", "CONFIG_TYPE"],
    ["pruning exact tags", "prune: {grace: 7d}", "CONFIG_PRUNE"],
    ["a reference policy of another case", "referencePolicy: Local", "CONFIG_TYPE"],
  ]),
  ...rows("registry", [
    ["a scheme in the host", '"https://quay.io": {}', "CONFIG_REGISTRY"],
    [
      "a password in the file",
      "quay.io: {credentials: {username: u, password: s3cret}}",
      "CONFIG_INLINE_SECRET",
    ],
    ["a password without a user", "quay.io: {credentials: {password: '${HOME}'}}", "CONFIG_TYPE"],
    [
      "a file with a password that is not there",
      "quay.io: {credentials: {username: u, passwordFile: hub.txt}}",
      "CONFIG_SECRET",
    ],
    ["a certificate file that is not there", "quay.io: {ca: corp-ca.crt}", "CONFIG_CA"],
    ["a certificate file without a certificate", "quay.io: {ca: notes.txt}", "CONFIG_CA"],
    [
      "a certificate without its key",
      "quay.io: {clientCertificate: client.crt}",
      "CONFIG_CLIENT_CERTIFICATE",
    ],
    ["a kind that does not exist", "quay.io: {kind: artifactory}", "CONFIG_TYPE"],
    ["no connections", "quay.io: {connections: 0}", "CONFIG_RANGE"],
    ["Docker Hub without TLS", "docker.io: {plainHttp: true}", "CONFIG_INSECURE"],
  ]),
  ...rows("cluster", [["two clusters", "a: {}\nb: {}", "CONFIG_TYPE"]]),
  ...rows("daemon", [
    ["a port alone", "listen: 8080", "CONFIG_TYPE"],
    ["all addresses and no token", "listen: 0.0.0.0:8080", "CONFIG_LISTEN"],
    ["the file of the token is not there", "tokenFile: token", "CONFIG_SECRET"],
    ["the token is a directory", "tokenFile: folder", "CONFIG_SECRET"],
    ["the token is empty", "tokenFile: nothing.txt", "CONFIG_SECRET"],
    ["an address of Redis with http", "redis: http://redis:6379", "CONFIG_REDIS"],
    ["a Redis and a state file", "redis: redis://redis:6379\nstateFile: state.jsonl", "CONFIG_STATE"],
    ["a number in words", "copies: many", "CONFIG_TYPE"],
  ]),
];
