import { describe, expect, test } from "vitest";

import { renderFailure } from "../../src/cli/terminal/failure-text.ts";
import { ERROR_CODES, type ErrorCode } from "../../src/errors/codes.ts";
import { failureOf, TagferryError } from "../../src/errors/error.ts";
import type { Details } from "../../src/lib/error.ts";

const REGISTRY = { where: "harbor.corp.example:8443/team/app:1.27" };
const STREAM = { where: "web/app", namespace: "web" };
const LOCAL = { where: "/srv/images" };
const FILE = { where: "/etc/tagferry.yaml:3:5" };

/** The facts of each code, as its errors have them. The type demands an entry for every code. */
const FACTS: Readonly<Record<ErrorCode, Details>> = {
  USAGE: { found: "--bogus" },
  OUTPUT_PATH: LOCAL,
  DISK_FULL: LOCAL,
  DISK: LOCAL,
  NODE_VERSION: { found: "v20.1.0" },
  PROGRAM_FORM: { found: "built" },
  PROXY_INVALID: { found: "ftp://proxy" },
  PROXY_REFUSED: REGISTRY,
  ABORTED: {},
  INTERNAL: {},
  MIRROR_UNKNOWN: { found: "web", allowed: "web-nginx" },
  REFERENCE_INVALID: { found: "a b" },
  CONFIG_INVALID: FILE,
  CONFIG_NOT_FOUND: FILE,
  CONFIG_NOT_FILE: FILE,
  CONFIG_READ: FILE,
  CONFIG_EMPTY: FILE,
  CONFIG_TOO_LARGE: FILE,
  CONFIG_ENCODING: FILE,
  CONFIG_SYNTAX: FILE,
  CONFIG_MULTIPLE_DOCUMENTS: FILE,
  CONFIG_DUPLICATE_KEY: FILE,
  CONFIG_UNKNOWN_KEY: FILE,
  CONFIG_TYPE: FILE,
  CONFIG_ALIAS: FILE,
  CONFIG_DEPTH: FILE,
  CONFIG_RESERVED_KEY: FILE,
  CONFIG_ENVIRONMENT: FILE,
  CONFIG_SECRET: FILE,
  CONFIG_INLINE_SECRET: FILE,
  CONFIG_REGISTRY: FILE,
  CONFIG_PORT: FILE,
  CONFIG_ALIAS_CONFLICT: FILE,
  CONFIG_REPOSITORY: FILE,
  CONFIG_TAG: FILE,
  CONFIG_DIGEST: FILE,
  CONFIG_REGEX: FILE,
  CONFIG_REGEX_UNSAFE: FILE,
  CONFIG_FILTER: FILE,
  FILTER_EMPTY: REGISTRY,
  CONFIG_SELF: FILE,
  CONFIG_OVERLAP: FILE,
  CONFIG_PRUNE: FILE,
  CONFIG_CRON: FILE,
  CONFIG_CRON_BOTH_DAYS: FILE,
  CONFIG_TIME_ZONE: FILE,
  CONFIG_LISTEN: FILE,
  CONFIG_REDIS: FILE,
  CONFIG_STATE: FILE,
  CONFIG_DURATION: FILE,
  CONFIG_RANGE: FILE,
  CONFIG_PLATFORM: FILE,
  CONFIG_CA: FILE,
  CONFIG_CLIENT_CERTIFICATE: FILE,
  CONFIG_INSECURE: FILE,
  CONFIG_KUBERNETES_NAME: FILE,
  CONFIG_VERSION: FILE,
  CONFIG_KUBECONFIG: FILE,
  CONFIG_UNUSED: FILE,
  TAGS_TOO_MANY: REGISTRY,
  PRUNE_CAPPED: STREAM,
  OVERLAP_UNKNOWN: STREAM,
  CHECK_DEADLINE: { where: "web-nginx" },
  SOURCE_MOVED: REGISTRY,
  AUTH_DENIED: REGISTRY,
  AUTH_NO_CHALLENGE: REGISTRY,
  AUTH_CHALLENGE: REGISTRY,
  AUTH_REALM: REGISTRY,
  AUTH_TOKEN: REGISTRY,
  AUTH_HELPER: { where: "quay.io", helper: "docker-credential-pass" },
  AUTH_FILE: LOCAL,
  DENIED: REGISTRY,
  REGISTRY_NOT_V2: REGISTRY,
  REGISTRY_UNREACHABLE: REGISTRY,
  REGISTRY_UNRESPONSIVE: REGISTRY,
  REGISTRY_DNS: REGISTRY,
  REGISTRY_TLS: REGISTRY,
  REGISTRY_UNAVAILABLE: REGISTRY,
  RATE_LIMITED: REGISTRY,
  STALLED: REGISTRY,
  HTTP_PROTOCOL: REGISTRY,
  REQUEST_REJECTED: REGISTRY,
  REDIRECT_REFUSED: REGISTRY,
  LINK_FOREIGN: REGISTRY,
  NAME_UNKNOWN: REGISTRY,
  TAGS_INVALID: REGISTRY,
  REFERRERS_INVALID: REGISTRY,
  TAGS_LIMIT: REGISTRY,
  CONTENT_ENCODING: REGISTRY,
  RANGE: REGISTRY,
  SOURCE_POLICY: REGISTRY,
  MANIFEST_UNKNOWN: REGISTRY,
  BLOB_UNKNOWN: REGISTRY,
  MANIFEST_EMPTY: REGISTRY,
  MANIFEST_NOT_JSON: REGISTRY,
  MANIFEST_TOO_LARGE: REGISTRY,
  MANIFEST_DEPTH: REGISTRY,
  MANIFEST_DUPLICATE_KEY: REGISTRY,
  MANIFEST_ENCODING: REGISTRY,
  MEDIA_TYPE: REGISTRY,
  MANIFEST_AMBIGUOUS: REGISTRY,
  MANIFEST_SCHEMA1: REGISTRY,
  MANIFEST_SHAPE: REGISTRY,
  MANIFEST_FANOUT: REGISTRY,
  DESCRIPTOR_SIZE: REGISTRY,
  DESCRIPTOR_DIGEST: REGISTRY,
  DESCRIPTOR_CONFLICT: REGISTRY,
  DESCRIPTOR_DATA: REGISTRY,
  FOREIGN_LAYER: REGISTRY,
  INDEX_LOOP: REGISTRY,
  INDEX_PLATFORM: REGISTRY,
  SOURCE_BROKEN: REGISTRY,
  PLATFORM_ABSENT: REGISTRY,
  DIGEST_MISMATCH: REGISTRY,
  DIGEST_HEADER: REGISTRY,
  BLOB_SHORT: REGISTRY,
  BLOB_LONG: REGISTRY,
  UPLOAD_LOCATION: REGISTRY,
  UPLOAD: REGISTRY,
  TARGET_TOO_LARGE: REGISTRY,
  TARGET_DIGEST: REGISTRY,
  TARGET_REJECTED: REGISTRY,
  TARGET_BLOB_UNKNOWN: REGISTRY,
  TARGET_READBACK: REGISTRY,
  TARGET_UNPROVEN: REGISTRY,
  TARGET_NOT_A_REGISTRY: REGISTRY,
  IMAGE_TOO_LARGE: REGISTRY,
  TARGET_QUOTA: REGISTRY,
  TARGET_READONLY: REGISTRY,
  TARGET_IMMUTABLE: REGISTRY,
  TARGET_PROJECT: REGISTRY,
  TARGET_UNSUPPORTED: REGISTRY,
  OUTCOME_UNKNOWN: REGISTRY,
  LAYOUT_INVALID: LOCAL,
  LAYOUT_LOCKED: LOCAL,
  CLUSTER_CONFIG: LOCAL,
  CLUSTER_UNREACHABLE: STREAM,
  CLUSTER_DENIED: { ...STREAM, account: "system:serviceaccount:tagferry:tagferry" },
  CLUSTER_TOKEN: {},
  CLUSTER_ANSWER: STREAM,
  CLUSTER_REGISTRY: STREAM,
  STREAM_NAMESPACE: STREAM,
  STREAM_INVALID: STREAM,
  STREAM_CONFLICT: STREAM,
  STREAM_OWNED: STREAM,
  STREAM_TAKEOVER: STREAM,
  STREAM_TAG_KIND: STREAM,
  STREAM_CONTESTED: STREAM,
  STREAM_IMPORT: STREAM,
  STREAM_IMPORT_MOVED: STREAM,
  LOCK_LOST: { where: "web-nginx" },
  QUEUE_AWAY: { where: "redis" },
  BUSY: REGISTRY,
  JOB_INVALID: { where: "web-nginx" },
  REDIS_POLICY: { where: "redis" },
  QUARANTINED: { where: "web-nginx" },
  DAEMON_AWAY: { where: "http://127.0.0.1:8080" },
  WEB_UNAUTHORIZED: {},
  WEB_ORIGIN: {},
  WEB_READ_ONLY: {},
  WEB_REQUEST: {},
  WEB_NOT_FOUND: {},
  WEB_METHOD: {},
  WEB_TOO_LARGE: {},
  WEB_BUSY: {},
  HOOK_SECRET: {},
  HOOK_BODY: {},
};

/** Words in capitals that stand for something that only the failure knows. */
const PLACEHOLDER =
  /\b(?:REGISTRY|REPOSITORY|NAMESPACE|PROJECT|USER|ACCOUNT|SERVICEACCOUNT|MIRROR|COMMAND|HELPER)\b|\{[a-z]+\}/;

/** Commands of this program that an advice may name. */
const COMMANDS = /\btagferry (\w+)/g;
const KNOWN = new Set(["sync", "plan", "tags", "auth", "serve", "status", "validate", "init"]);

const failureFor = (code: ErrorCode, details: Details): ReturnType<typeof failureOf> =>
  failureOf(new TagferryError(code, "something is wrong", details));

describe("what to do next", () => {
  test.for(Object.keys(ERROR_CODES) as ErrorCode[])("%s names the facts, not a placeholder", (code) => {
    const { next } = failureFor(code, FACTS[code]);
    expect(next).not.toMatch(PLACEHOLDER);
    expect(next).not.toMatch(/…|\.\.\.|undefined/);
    expect(next).toMatch(/^[A-Z]/);
    for (const [, command = ""] of next.matchAll(COMMANDS)) expect(KNOWN).toContain(command);
    // what is installed has no such file
    expect(next).not.toContain("config/quickstart.yaml");
    expect(renderFailure(failureFor(code, FACTS[code]))).toContain(next.slice(0, 40));
  });

  test.for<{ code: ErrorCode; says: string }>([
    { code: "AUTH_DENIED", says: "tagferry auth harbor.corp.example:8443" },
    { code: "MANIFEST_UNKNOWN", says: "tagferry tags harbor.corp.example:8443/team/app`" },
    { code: "TARGET_PROJECT", says: "`team` at harbor.corp.example:8443" },
    { code: "REGISTRY_TLS", says: "`ca` of harbor.corp.example:8443" },
    {
      code: "CLUSTER_DENIED",
      says: "oc adm policy add-role-to-user registry-editor system:serviceaccount:tagferry:tagferry -n web",
    },
    { code: "STREAM_NAMESPACE", says: "oc new-project web" },
    { code: "STREAM_IMPORT", says: "namespace web" },
    { code: "AUTH_HELPER", says: "docker-credential-pass" },
    { code: "QUARANTINED", says: "/api/v1/mirrors/web-nginx/retry" },
  ])("$code names what it is about", ({ code, says }) => {
    expect(failureFor(code, FACTS[code]).next).toContain(says);
  });

  test("without an account, the shell asks for it", () => {
    expect(failureFor("CLUSTER_DENIED", STREAM).next).toContain('registry-editor "$(oc whoami)" -n web');
  });

  test("a layout keeps its path, and a stream its namespace", () => {
    expect(failureFor("MANIFEST_UNKNOWN", { where: "oci:/srv/a:b" }).next).toContain("tags oci:/srv/a:b`");
    expect(failureFor("STREAM_NAMESPACE", { where: "imagestream:web/app:1" }).next).toContain(
      "new-project web",
    );
  });
});
