import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { loadConfig } from "../../../src/config/file/load.ts";
import { isProblems, renderProblems } from "../../../src/config/file/problems.ts";
import { checkSchedules } from "../../../src/daemon/triggers/check-schedules.ts";
import { failureOf, isTagferryError } from "../../../src/errors/error.ts";
import { checkTagRules } from "../../../src/plan/patterns.ts";
import { makeCertificates } from "../../support/certificates.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const ENV = { GIVEN: "value", EMPTY: "" };

/** The problems of a file, in order: each code with line:column. */
async function problemsOf(path: string, directory: string): Promise<readonly string[]> {
  try {
    await loadConfig({ file: path, env: ENV, directory, checks: [checkTagRules, checkSchedules] });
    return [];
  } catch (error) {
    if (isProblems(error))
      return error.details.problems.map(({ code, line, column }) => `${code} ${line}:${column}`);
    if (isTagferryError(error)) return [error.code];
    throw error;
  }
}

const mirror = (lines: string): string => `version: 1\nmirrors:\n  - ${lines.replaceAll("\n", "\n    ")}\n`;
const SOURCE = "source: quay.io/a/b";
const TARGET = "target: imagestream:web/b";
const TAGS = "tags: [latest]";
const registry = (body: string): string =>
  `${mirror(`${SOURCE}\n${TARGET}\n${TAGS}`)}registries:\n  ${body}\n`;
const tagged = (tags: string): string => mirror(`${SOURCE}\n${TARGET}\n${tags}`);

const due = (lines: string): string => mirror(`${SOURCE}\n${TARGET}\n${TAGS}\n${lines}`);
const daemon = (lines: string): string => `${mirror(`${SOURCE}\n${TARGET}\n${TAGS}`)}daemon:\n  ${lines}\n`;

/** The rows A1-A49 of bad input: number, text of the file, expected problem and its position. */
const ROWS: readonly { row: string; text: string | Uint8Array; expected: readonly string[] }[] = [
  { row: "A4 only comments", text: "# nothing\n\n", expected: ["CONFIG_EMPTY"] },
  { row: "A4 nothing", text: "", expected: ["CONFIG_EMPTY"] },
  { row: "A5 more than 1 MiB", text: `# ${"x".repeat(1024 * 1024)}\n`, expected: ["CONFIG_TOO_LARGE"] },
  { row: "A6 UTF-16", text: Buffer.from("\ufeffversion: 1\n", "utf16le"), expected: ["CONFIG_ENCODING"] },
  { row: "A6 a NUL byte", text: "version: 1\0\n", expected: ["CONFIG_ENCODING"] },
  { row: "A6 Latin-1", text: Buffer.from([0x76, 0x3a, 0x20, 0xe9, 0x0a]), expected: ["CONFIG_ENCODING"] },
  { row: "A7 a tab", text: "version: 1\nmirrors:\n\t- source: a\n", expected: ["CONFIG_SYNTAX"] },
  { row: "A7 no YAML", text: "version: [1\n", expected: ["CONFIG_SYNTAX"] },
  { row: "A8 two documents", text: "version: 1\n---\nversion: 1\n", expected: ["CONFIG_MULTIPLE_DOCUMENTS"] },
  {
    row: "A9 a key twice",
    text: mirror(`${SOURCE}\nsource: x\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_DUPLICATE_KEY 4:5"],
  },
  {
    row: "A10 an unknown key",
    text: mirror(`${SOURCE}\n${TARGET}\n${TAGS}\nplatform: x`),
    expected: ["CONFIG_UNKNOWN_KEY 6:5"],
  },
  {
    row: "A10 a key of a later version",
    text: `${tagged(TAGS)}include: [more.yaml]\n`,
    expected: ["CONFIG_UNKNOWN_KEY 6:1"],
  },
  {
    row: "A11 text for a boolean",
    text: mirror(`${SOURCE}\n${TARGET}\n${TAGS}\nreferrers: yes`),
    expected: ["CONFIG_TYPE 6:16"],
  },
  { row: "A11 a number for a tag", text: tagged("tags: [1.10]"), expected: ["CONFIG_TYPE 5:12"] },
  { row: "A11 null", text: tagged("tags:"), expected: ["CONFIG_TYPE 5:10"] },
  { row: "A11 a list for a map", text: "version: 1\nmirrors: {}\n", expected: ["CONFIG_TYPE 2:10"] },
  {
    row: "A12 an anchor and its alias",
    text: mirror(`${SOURCE}\ntarget: &t imagestream:web/b\nname: *t\n${TAGS}`),
    expected: ["CONFIG_ALIAS 4:16", "CONFIG_ALIAS 5:11"],
  },
  {
    row: "A12 a merge key",
    text: mirror(`<<: {}\n${SOURCE}\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_ALIAS 3:5"],
  },
  {
    row: "A13 nested too deeply",
    text: `version: ${"[".repeat(40)}${"]".repeat(40)}\n`,
    expected: ["CONFIG_DEPTH 1:42"],
  },
  {
    row: "A14 a reserved key",
    text: mirror(`${SOURCE}\n${TARGET}\n${TAGS}\n__proto__: {}`),
    expected: ["CONFIG_RESERVED_KEY 6:5"],
  },
  {
    row: "A15 an unset variable",
    text: mirror(`source: quay.io/\${ABSENT}/b\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_ENVIRONMENT 3:13", "CONFIG_REPOSITORY 3:13"],
  },
  {
    row: "A15 an empty variable",
    text: mirror(`name: "\${EMPTY}x"\n${SOURCE}\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_ENVIRONMENT 3:11"],
  },
  {
    row: "A16 a secret file that is missing",
    text: registry("quay.io: {credentials: {username: u, passwordFile: absent}}"),
    expected: ["CONFIG_SECRET 7:54"],
  },
  {
    row: "A16 a secret file that is empty",
    text: registry("quay.io: {credentials: {username: u, passwordFile: empty}}"),
    expected: ["CONFIG_SECRET 7:54"],
  },
  {
    row: "A18 a password in the file",
    text: registry("quay.io: {credentials: {username: u, password: hunter2}}"),
    expected: ["CONFIG_INLINE_SECRET 7:40"],
  },
  { row: "A19 a scheme", text: registry("https://quay.io: {}"), expected: ["CONFIG_REGISTRY 7:3"] },
  { row: "A19 a user", text: registry('"u:p@quay.io": {}'), expected: ["CONFIG_REGISTRY 7:3"] },
  { row: "A19 a query", text: registry('"quay.io?x": {}'), expected: ["CONFIG_REGISTRY 7:3"] },
  { row: "A20 port 0", text: registry('"quay.io:0": {}'), expected: ["CONFIG_PORT 7:3"] },
  { row: "A20 port 70000", text: registry('"quay.io:70000": {}'), expected: ["CONFIG_PORT 7:3"] },
  { row: "A20 no port after the colon", text: registry('"quay.io:": {}'), expected: ["CONFIG_PORT 7:3"] },
  { row: "A21 IPv6 without brackets", text: registry('"fd00::1": {}'), expected: ["CONFIG_REGISTRY 7:3"] },
  { row: "A22 a host that is not ASCII", text: registry('"quäy.io": {}'), expected: ["CONFIG_REGISTRY 7:3"] },
  {
    row: "A23 one registry under two names",
    text: registry("docker.io: {}\n  index.docker.io: {}"),
    expected: ["CONFIG_ALIAS_CONFLICT 8:3"],
  },
  {
    row: "A24 upper case",
    text: mirror(`source: quay.io/A/b\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_REPOSITORY 3:13"],
  },
  {
    row: "A25 two dots",
    text: mirror(`source: quay.io/a/../b\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_REPOSITORY 3:13"],
  },
  {
    row: "A25 too long",
    text: mirror(`source: quay.io/${"a".repeat(256)}\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_REPOSITORY 3:13"],
  },
  { row: "A26 a tag that is none", text: tagged('tags: ["-x"]'), expected: ["CONFIG_TAG 5:12"] },
  {
    row: "A26 a tag of 129 characters",
    text: tagged(`tags: [${"a".repeat(129)}]`),
    expected: ["CONFIG_TAG 5:12"],
  },
  {
    row: "A27 a tag in the source",
    text: mirror(`source: quay.io/a/b:1\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_REPOSITORY 3:13"],
  },
  { row: "A28 a short digest", text: tagged('tags: ["1@sha256:abc"]'), expected: ["CONFIG_DIGEST 5:12"] },
  {
    row: "A29 a regex that is not valid",
    text: tagged('tags: {regex: ["a(b"]}'),
    expected: ["CONFIG_REGEX 5:20"],
  },
  { row: "A30 a lookahead", text: tagged('tags: {regex: "a(?=b)"}'), expected: ["CONFIG_REGEX_UNSAFE 5:19"] },
  {
    row: "A30 a regex of 1001 characters",
    text: tagged(`tags: {regex: ${"a".repeat(1001)}}`),
    expected: ["CONFIG_REGEX_UNSAFE 5:19"],
  },
  {
    row: "A31 a range that is none",
    text: tagged('tags: {semver: "not a range"}'),
    expected: ["CONFIG_FILTER 5:20"],
  },
  {
    row: "A31 a glob with an open bracket",
    text: tagged('tags: {glob: ["1.*", "[a"]}'),
    expected: ["CONFIG_FILTER 5:26"],
  },
  {
    row: "A34 the source is its target",
    text: mirror(`${SOURCE}\ntarget: quay.io/a/b\n${TAGS}`),
    expected: ["CONFIG_SELF 4:13"],
  },
  {
    row: "A34 the source is the storage",
    text: mirror(`${SOURCE}\n${TARGET}\nstorage: quay.io/a/b\n${TAGS}`),
    expected: ["CONFIG_SELF 5:14"],
  },
  {
    row: "A36 two mirrors write one tag",
    text: `${mirror(`name: x\n${SOURCE}\n${TARGET}\n${TAGS}`)}  - {name: y, source: quay.io/c/d, target: "imagestream:web/b", tags: [latest]}\n`,
    expected: ["CONFIG_OVERLAP 7:5"],
  },
  {
    row: "A36 two mirrors of one name",
    text: `${mirror(`${SOURCE}\n${TARGET}\n${TAGS}`)}  - {source: quay.io/c/d, target: "imagestream:web/b", tags: [other]}\n`,
    expected: ["CONFIG_OVERLAP 6:5"],
  },
  {
    row: "A38 prune where nothing is owned",
    text: mirror(`${SOURCE}\ntarget: reg.example/a/b\ntags: {all: true}\nprune: {grace: 7d}`),
    expected: ["CONFIG_PRUNE 6:5"],
  },
  {
    row: "A40 a duration without a unit",
    text: tagged("tags: {all: true, since: '90'}"),
    expected: ["CONFIG_DURATION 5:30"],
  },
  {
    row: "A40 a negative duration",
    text: tagged("tags: {all: true, since: -1d}"),
    expected: ["CONFIG_DURATION 5:30"],
  },
  {
    row: "A40 an overflow",
    text: tagged("tags: {all: true, since: 999999999999d}"),
    expected: ["CONFIG_DURATION 5:30"],
  },
  { row: "A39 a day that never comes", text: due('schedule: "0 0 31 2 *"'), expected: ["CONFIG_CRON 6:15"] },
  { row: "A39 an hour that is none", text: due('schedule: "0 25 * * *"'), expected: ["CONFIG_CRON 6:15"] },
  { row: "A39 one field", text: due("schedule: hourly"), expected: ["CONFIG_CRON 6:15"] },
  { row: "A39 jitter without schedule", text: due("jitter: 5s"), expected: ["CONFIG_CRON 6:5"] },
  {
    row: "A41 a time zone that is none",
    text: due('schedule: "0 * * * *"\ntimeZone: Europe/Atlantis'),
    expected: ["CONFIG_TIME_ZONE 7:15"],
  },
  { row: "B13 an address that is none", text: daemon("listen: here"), expected: ["CONFIG_LISTEN 7:11"] },
  {
    row: "B13 a port that is none",
    text: daemon("listen: 127.0.0.1:70000"),
    expected: ["CONFIG_LISTEN 7:11"],
  },
  {
    row: "B13 reachable from elsewhere without a token",
    text: daemon("listen: 0.0.0.0:8080"),
    expected: ["CONFIG_LISTEN 7:11"],
  },
  {
    row: "B13 no address for probes",
    text: daemon("healthListen: here"),
    expected: ["CONFIG_LISTEN 7:17"],
  },
  {
    row: "B13 probes at the port of the page",
    text: daemon("healthListen: 0.0.0.0:8080"),
    expected: ["CONFIG_LISTEN 7:17"],
  },
  {
    row: "B13 a token that reads and none that acts",
    text: daemon("readTokenFile: tagferry.yaml"),
    expected: ["CONFIG_SECRET 7:18"],
  },
  {
    row: "B13 one token that reads and acts",
    text: daemon("tokenFile: tagferry.yaml\n  readTokenFile: tagferry.yaml"),
    expected: ["CONFIG_SECRET 8:18"],
  },
  {
    row: "B13 no secret of the proxy",
    text: daemon("trustForwardedUser: {secretFile: none}"),
    expected: ["CONFIG_SECRET 7:36"],
  },
  {
    row: "B13 no secret of a sender",
    text: daemon("webhooks: {secretFiles: {harbor: none}}"),
    expected: ["CONFIG_SECRET 7:36"],
  },
  {
    row: "B14 two places to remember in",
    text: daemon("redis: redis://localhost:6379\n  stateFile: state.jsonl"),
    expected: ["CONFIG_STATE 8:14"],
  },
  { row: "B14 a Redis that is none", text: daemon("redis: localhost"), expected: ["CONFIG_REDIS 7:10"] },
  {
    row: "B14 a password in the address of Redis",
    text: daemon("redis: redis://:hunter2@localhost:6379"),
    expected: ["CONFIG_INLINE_SECRET 7:10"],
  },
  {
    row: "B14 a password file that is not there",
    text: daemon("redis: {url: redis://localhost, passwordFile: nowhere}"),
    expected: ["CONFIG_SECRET 7:49"],
  },
  { row: "A42 no connections", text: registry("quay.io: {connections: 0}"), expected: ["CONFIG_RANGE 7:26"] },
  {
    row: "A42 a billion connections",
    text: registry("quay.io: {connections: 1000000000}"),
    expected: ["CONFIG_RANGE 7:26"],
  },
  {
    row: "A42 not a number",
    text: registry("quay.io: {requestsPerSecond: .nan}"),
    expected: ["CONFIG_RANGE 7:32"],
  },
  {
    row: "A43 a platform with a typo",
    text: mirror(`${SOURCE}\n${TARGET}\n${TAGS}\nplatforms: [linux/amd46]`),
    expected: ["CONFIG_PLATFORM 6:17"],
  },
  {
    row: "A43 a choice where the cluster imports",
    text: mirror(`${SOURCE}\n${TARGET}\n${TAGS}\nstorage: source\nplatforms: [linux/amd64]`),
    expected: ["CONFIG_PLATFORM 7:5"],
  },
  { row: "A44 a CA that is not PEM", text: registry("quay.io: {ca: text}"), expected: ["CONFIG_CA 7:17"] },
  { row: "A44 a CA that is missing", text: registry("quay.io: {ca: absent}"), expected: ["CONFIG_CA 7:17"] },
  {
    row: "A44 a CA that expired",
    text: registry("quay.io: {ca: expired.crt}"),
    expected: ["CONFIG_CA 7:17"],
  },
  {
    row: "A45 a certificate without its key",
    text: registry("quay.io: {clientCertificate: client.crt}"),
    expected: ["CONFIG_CLIENT_CERTIFICATE 7:32"],
  },
  {
    row: "A45 a key of another certificate",
    text: registry("quay.io: {clientCertificate: client.crt, clientKey: other.key}"),
    expected: ["CONFIG_CLIENT_CERTIFICATE 7:55"],
  },
  {
    row: "A45 an encrypted key",
    text: registry("quay.io: {clientCertificate: client.crt, clientKey: encrypted.key}"),
    expected: ["CONFIG_CLIENT_CERTIFICATE 7:55"],
  },
  {
    row: "A46 insecure with a CA",
    text: registry("quay.io: {insecure: true, ca: ca.crt}"),
    expected: ["CONFIG_INSECURE 7:13"],
  },
  {
    row: "A46 insecure for Docker Hub",
    text: registry("docker.io: {insecure: true}"),
    expected: ["CONFIG_INSECURE 7:15"],
  },
  {
    row: "A47 a namespace in upper case",
    text: mirror(`${SOURCE}\ntarget: imagestream:Web/b\n${TAGS}`),
    expected: ["CONFIG_KUBERNETES_NAME 4:13"],
  },
  {
    row: "A47 a stream with two underscores",
    text: mirror(`${SOURCE}\ntarget: imagestream:web/a__b\n${TAGS}`),
    expected: ["CONFIG_KUBERNETES_NAME 4:13"],
  },
  {
    row: "A47 three parts",
    text: mirror(`${SOURCE}\ntarget: imagestream:web/a/b\n${TAGS}`),
    expected: ["CONFIG_KUBERNETES_NAME 4:13"],
  },
  {
    row: "A49 a newer version",
    text: "version: 2\nmirrors: []\n",
    expected: ["CONFIG_VERSION 1:10", "CONFIG_TYPE 2:10"],
  },
  {
    row: "A49 no version",
    text: `mirrors:\n  - {${SOURCE}, target: "imagestream:web/b", ${TAGS}}\n`,
    expected: ["CONFIG_VERSION 1:1"],
  },
  {
    row: "a mirror without tags: nothing is mirrored by accident",
    text: mirror(`${SOURCE}\n${TARGET}`),
    expected: ["CONFIG_TYPE 3:5"],
  },
  { row: "rules that include nothing", text: tagged("tags: {newest: 3}"), expected: ["CONFIG_FILTER 5:11"] },
  {
    row: "a key without effect: storage of a registry target",
    text: mirror(`${SOURCE}\ntarget: reg.example/a/b\n${TAGS}\nstorage: source`),
    expected: ["CONFIG_TYPE 6:5"],
  },
  {
    row: "a problem under defaults",
    text: `${tagged(TAGS)}defaults: {platforms: [bad]}\n`,
    expected: ["CONFIG_PLATFORM 6:24"],
  },
  {
    row: "several problems at once, in the order of their lines",
    text: mirror(`source: quay.io/A\ntarget: imagestream:Web/b\ntags: ["-"]`),
    expected: ["CONFIG_REPOSITORY 3:13", "CONFIG_KUBERNETES_NAME 4:13", "CONFIG_TAG 5:12"],
  },
];

describe("what is wrong with a configuration is told with code and place", async () => {
  const authority = await makeCertificates();
  const { ca, client } = authority;
  const other = await authority.issue("other", { hosts: ["other"] });
  const expired = await authority.issue("expired", { hosts: ["expired"], expired: true });

  test.for(ROWS)("$row", async ({ text, expected }) => {
    await using directory = await temporaryDirectory();
    const files = {
      empty: "",
      text: "no certificate",
      "client.crt": client.cert,
      "other.key": other.key,
      "ca.crt": ca.cert,
      "expired.crt": expired.cert,
    };
    for (const [name, content] of Object.entries(files)) writeFileSync(directory.join(name), content);
    writeFileSync(
      directory.join("encrypted.key"),
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    writeFileSync(directory.join("tagferry.yaml"), text);
    expect(await problemsOf("tagferry.yaml", directory.path)).toEqual(expected);
  });
});

test("A1 a file that is missing is named", async () => {
  await using directory = await temporaryDirectory();
  expect(await problemsOf("absent.yaml", directory.path)).toEqual(["CONFIG_NOT_FOUND"]);
});

test("A2 directories, pipes and devices are no files, and none of them hangs", async () => {
  await using directory = await temporaryDirectory();
  mkdirSync(directory.join("folder"));
  execFileSync("mkfifo", [directory.join("pipe")]);
  for (const path of ["folder", "pipe", "/dev/null"])
    expect(await problemsOf(path, directory.path)).toEqual(["CONFIG_NOT_FILE"]);
});

test("A3 a file that may not be read says so, for those who may not", async () => {
  await using directory = await temporaryDirectory();
  const path = directory.join("tagferry.yaml");
  writeFileSync(path, tagged(TAGS));
  chmodSync(path, 0);
  chmodSync(directory.path, 0o755);
  const bin = join(import.meta.dirname, "../../../bin/tagferry");
  const run = (): unknown =>
    execFileSync("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", bin, "validate", path], {
      env: { PATH: process.env["PATH"] },
      encoding: "utf8",
      stdio: "pipe",
    });
  expect(run).toThrow(/CONFIG_READ/);
});

test("A17 a secret with a Windows line end is taken, trimmed, and warned of", async () => {
  await using directory = await temporaryDirectory();
  writeFileSync(directory.join("password"), "hunter2\r\n");
  writeFileSync(
    directory.join("tagferry.yaml"),
    registry("quay.io: {credentials: {username: u, passwordFile: password}}"),
  );
  const { warnings } = await loadConfig({ env: {}, directory: directory.path });
  expect(warnings.map(({ code }) => code)).toEqual(["CONFIG_SECRET"]);
  expect(JSON.stringify(warnings)).not.toContain("hunter2");
});

test("problems are rendered with their line, a caret, what is allowed and what to do; a secret's line is not shown", async () => {
  await using directory = await temporaryDirectory();
  const text = `${mirror(`${SOURCE}\n${TARGET}\n${TAGS}\nplatform: x`)}registries:\n  quay.io: {credentials: {username: u, password: hunter2}}\n`;
  writeFileSync(directory.join("tagferry.yaml"), text);
  const error: unknown = await loadConfig({ env: {}, directory: directory.path }).catch(
    (thrown: unknown) => thrown,
  );
  const rendered = isProblems(error)
    ? renderProblems(error.details.problems, text).replaceAll(`${directory.path}/`, "")
    : "";
  expect(rendered).toContain('tagferry.yaml:6:5  CONFIG_UNKNOWN_KEY  "platform" is not a key of mirrors[0]');
  expect(rendered).toContain("        platform: x\n        ^");
  expect(rendered).toContain('next     Did you mean "platforms"?');
  expect(rendered).not.toContain("hunter2");
});

test("the file is the one that is named, else $TAGFERRY_CONFIG, else ./tagferry.yaml", async () => {
  await using directory = await temporaryDirectory();
  for (const name of ["named", "environment", "tagferry"])
    writeFileSync(directory.join(`${name}.yaml`), mirror(`name: ${name}\n${SOURCE}\n${TARGET}\n${TAGS}`));
  const nameOf = async (options: {
    file?: string;
    env: Record<string, string>;
  }): Promise<string | undefined> =>
    (await loadConfig({ ...options, directory: directory.path })).config.mirrors[0]?.name;
  const env = { TAGFERRY_CONFIG: "environment.yaml" };
  expect(await nameOf({ file: "named.yaml", env })).toBe("named");
  expect(await nameOf({ env })).toBe("environment");
  expect(await nameOf({ env: {} })).toBe("tagferry");
});

test("A39 warns of a schedule with both day fields, which crontab would join with OR", async () => {
  await using directory = await temporaryDirectory();
  writeFileSync(join(directory.path, "tagferry.yaml"), due('schedule: "0 0 1 * 1"'));
  const { config, warnings } = await loadConfig({
    env: {},
    directory: directory.path,
    checks: [checkSchedules],
  });
  expect(warnings.map(({ code }) => code)).toEqual(["CONFIG_CRON_BOTH_DAYS"]);
  expect(config.mirrors[0]?.schedule).toEqual({ cron: "0 0 1 * 1", timeZone: "UTC", jitterMs: 0 });
});

test.for([
  ["a key that is mistyped", "credentials: {username: u, passwrd: hunter2}"],
  ["a key that is mistyped, on a line of its own", "credentials:\n      passwrd: hunter2, with a comma"],
  ["text where its map should be", "credentials: hunter2"],
  ["a number", "credentials: {username: u, password: 42424242}"],
  ["a list", "credentials: {username: u, password: [hunter2]}"],
  ["two words, unquoted", "credentials: {username: u, pass: correct hunter2}"],
  ["a quote in quotes", "credentials: {username: u, passphrase: 'it''s hunter2'}"],
  ["YAML that is broken on its line", "credentials:\n      password: hunter2: x"],
  ["a quote that is not closed", "credentials: { username: u, password: 'hunter2 }"],
  ["text after the closing quote", 'credentials:\n      password: "a" "hunter2"'],
])("a secret is not shown: %s", async ([, body = ""]) => {
  await using directory = await temporaryDirectory();
  const text = registry(`quay.io:\n    ${body}`);
  writeFileSync(directory.join("tagferry.yaml"), text);
  const error: unknown = await loadConfig({ env: {}, directory: directory.path }).catch(
    (thrown: unknown) => thrown,
  );
  const told = JSON.stringify(failureOf(error));
  const rendered = isProblems(error) ? renderProblems(error.details.problems, text) : "";
  expect(`${told}${rendered}`).not.toMatch(/hunter2|42424242/);
  expect(told).toMatch(/CONFIG_/);
});

test("the secret of webhooks in the file is not shown", async () => {
  await using directory = await temporaryDirectory();
  const text = daemon("webhooks: {secret: hunter2}");
  writeFileSync(directory.join("tagferry.yaml"), text);
  const error: unknown = await loadConfig({ env: {}, directory: directory.path }).catch(
    (thrown: unknown) => thrown,
  );
  expect(isProblems(error) && renderProblems(error.details.problems, text)).not.toContain("hunter2");
});

test.for([
  ["", "version: 1\nmirrors:\n", "Write a value, or remove the key."],
  ["", "version: 1\nmirrors: []\n", "Write a first mirror; config/quickstart.yaml is an example."],
  ["", "just text\n", "Start from config/quickstart.yaml."],
  ["a duration without its unit", daemon("grace: 3"), "Write its unit too: 3s, 3m, 3h, 3d."],
  ["a port alone", daemon("listen: 8080"), "Write the address too: 127.0.0.1:8080."],
  [
    "a key like no other",
    daemon("zzz: 1"),
    "Remove it, or use a key that is allowed; docs/config.md describes all keys.",
  ],
  [
    "a variable that is not set",
    registry('quay.io: {credentials: {username: u, password: "${ABSENT}"}}'),
    "Set ABSENT, or give a default: ${ABSENT:-default}.",
  ],
])("what to do next fits what is wrong: %s", async ([, text = "", next]) => {
  await using directory = await temporaryDirectory();
  writeFileSync(directory.join("tagferry.yaml"), text);
  const error: unknown = await loadConfig({ env: {}, directory: directory.path }).catch(
    (thrown: unknown) => thrown,
  );
  const problems = isProblems(error) ? error.details.problems : [];
  expect(problems.map((problem) => problem.next)).toEqual([next]);
  expect(problems[0]?.message).toMatch(/^\S/);
});

test("a letter that is not UTF-8 is told with its line", async () => {
  await using directory = await temporaryDirectory();
  writeFileSync(directory.join("tagferry.yaml"), Buffer.from("version: 1\n# caf\u00e9\n", "latin1"));
  await expect(loadConfig({ env: {}, directory: directory.path })).rejects.toMatchObject({
    code: "CONFIG_ENCODING",
    details: { found: "byte 0xe9 on line 2" },
  });
});
