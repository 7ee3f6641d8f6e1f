import type { ErrorCode } from "../../../src/errors/codes.ts";

/** A wrong command line. The names of hosts stand for the servers of world.ts. */
export type WrongCommand = {
  readonly what: string;
  readonly args: string;
  readonly code: ErrorCode;
  readonly exit: number;
  readonly env?: Readonly<Record<string, string>>;
};

type Row = readonly [what: string, args: string, code: ErrorCode, exit: number, env?: Record<string, string>];

const ROWS: readonly Row[] = [
  ["a misspelt command", "snyc", "USAGE", 3],
  ["a command of another tool", "pull quay.example/team/app", "USAGE", 3],
  ["help of a command that does not exist", "help snyc", "USAGE", 3],
  ["a misspelt flag", "sync --verfy bytes", "USAGE", 3],
  ["a flag of another command", "sync --explain", "USAGE", 3],
  ["a flag without its value", "sync --verify", "USAGE", 3],
  ["a value that is not allowed", "sync --verify all", "USAGE", 3],
  ["a format that does not exist", "plan -o xml", "USAGE", 3],
  ["a log level that does not exist", "plan --log-level verbose", "USAGE", 3],
  ["a flag twice", "plan -c tagferry.yaml -c tagferry.yaml", "USAGE", 3],
  ["an argument too few", "copy registry.example/team/app:1", "USAGE", 3],
  ["an argument too many", "tags registry.example/team/app registry.example/team/db", "USAGE", 3],
  ["a shell that does not exist", "completion powershell", "USAGE", 3],
  ["a configuration that is not there", "plan -c team.yaml", "CONFIG_NOT_FOUND", 3],
  ["a directory as configuration", "plan -c folder", "CONFIG_NOT_FILE", 3],
  ["a file in a file", "plan -c tagferry.yaml/team.yaml", "CONFIG_NOT_FOUND", 3],
  ["a configuration with a mistake", "plan -c wrong.yaml", "CONFIG_UNKNOWN_KEY", 3],
  ["TAGFERRY_CONFIG names nothing", "plan", "CONFIG_NOT_FOUND", 3, { TAGFERRY_CONFIG: "gone.yaml" }],
  ["a mirror that does not exist", "sync aap", "MIRROR_UNKNOWN", 3],
  ["a file where a mirror belongs", "sync tagferry.yaml", "MIRROR_UNKNOWN", 3],
  ["a source without a tag", "copy registry.example/team/app oci:out", "MANIFEST_UNKNOWN", 2],
  ["capitals in a repository", "copy registry.example/Team/App:1 oci:out:1", "CONFIG_REPOSITORY", 3],
  ["a tag with a space", "copy 'registry.example/team/app:1 2' oci:out:1", "CONFIG_TAG", 3],
  ["a digest that is cut", "copy registry.example/team/app@sha256:12ab oci:out:1", "CONFIG_DIGEST", 3],
  ["a port that does not exist", "copy quay.example:70000/team/app:1 oci:out:1", "CONFIG_PORT", 3],
  ["an address of the browser", "copy https://registry.example/team/app:1 oci:out:1", "CONFIG_REGISTRY", 3],
  ["a stream as target of a copy", "copy registry.example/team/app:1 imagestream:web/app:1", "USAGE", 3],
  ["a target without a registry", "copy registry.example/team/app:1 team/app:1", "CONFIG_REGISTRY", 3],
  ["a layout without a directory", "copy registry.example/team/app:1 oci:", "REFERENCE_INVALID", 3],
  ["a layout that is a file", "copy registry.example/team/app:1 oci:notes.txt:1", "OUTPUT_PATH", 3],
  ["a layout that is not there", "copy oci:nowhere:1 registry.example/team/copy:1", "LAYOUT_INVALID", 2],
  ["a directory that is no layout", "tags oci:folder", "LAYOUT_INVALID", 2],
  [
    "an unknown platform",
    "copy --platform amd64 registry.example/team/app:1 oci:out:1",
    "CONFIG_PLATFORM",
    3,
  ],
  [
    "a platform that the image has not",
    "copy --platform linux/s390x registry.example/team/app:1 oci:out:1",
    "PLATFORM_ABSENT",
    2,
  ],
  ["a size in words", "copy --max-image-size big registry.example/team/app:1 oci:out:1", "USAGE", 3],
  ["a repository that does not exist", "tags registry.example/team/aap --names", "NAME_UNKNOWN", 2],
  ["a tag that does not exist", "copy registry.example/team/app:9 oci:out:9", "MANIFEST_UNKNOWN", 2],
  ["a registry that refuses connections", "tags closed.example/team/app", "REGISTRY_UNREACHABLE", 2],
  ["a host that does not exist", "tags nowhere.invalid/team/app", "REGISTRY_DNS", 2],
  ["HTTPS to a registry without TLS", "tags plain.example/team/app", "REGISTRY_TLS", 2],
  ["plain HTTP to a registry with TLS", "tags secure.example/team/app", "REGISTRY_TLS", 2],
  ["a certificate of an unknown authority", "tags unknown.example/team/app", "REGISTRY_TLS", 2],
  ["a web site that is no registry", "tags website.example/team/app", "TAGS_INVALID", 2],
  ["a wrong password", "tags login.example/team/app", "AUTH_DENIED", 4],
  ["no password", "tags private.example/team/app", "AUTH_DENIED", 4],
  ["the password is wrong, asked about", "auth login.example", "AUTH_DENIED", 4],
  ["a scheme in the host", "auth https://registry.example", "CONFIG_REGISTRY", 3],
  ["the address of a daemon without a scheme", "status --url tagferry.example:8080", "USAGE", 3],
  ["no daemon runs", "status --url http://closed.example", "DAEMON_AWAY", 2],
  ["another program answers", "status --url http://website.example", "DAEMON_AWAY", 2],
  ["a file of the token that is not there", "status --token-file token", "CONFIG_SECRET", 3],
  ["an address of the daemon that is a port", "serve --listen 8080", "CONFIG_LISTEN", 3],
  ["a number in words", "serve --workers many", "USAGE", 3],
  [
    "init where a file is",
    "init tagferry.yaml --source quay.io/a/b --target oci:x --tags 1",
    "OUTPUT_PATH",
    3,
  ],
  [
    "init with a target without a registry",
    "init new.yaml --source quay.io/a/b --target web/b --tags 1",
    "CONFIG_REGISTRY",
    3,
  ],
  ["a kubeconfig that is not there", "plan stream", "CLUSTER_CONFIG", 2, { KUBECONFIG: "gone" }],
  ["a kubeconfig that is not one", "plan stream", "CLUSTER_CONFIG", 2, { KUBECONFIG: "notes.txt" }],
  [
    "a proxy without a scheme",
    "tags registry.example/team/app",
    "PROXY_INVALID",
    3,
    { HTTPS_PROXY: "proxy:3128:x" },
  ],
];

export const WRONG_COMMANDS: readonly WrongCommand[] = ROWS.map(([what, args, code, exit, env]) => ({
  what,
  args,
  code,
  exit,
  ...(env ? { env } : {}),
}));
