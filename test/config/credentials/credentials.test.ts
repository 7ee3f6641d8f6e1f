import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

import { expect, test } from "vitest";

import type { RegistrySettings } from "../../../src/config/config.ts";
import { openCredentials } from "../../../src/config/credentials/credentials.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../../support/temporary.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const entry = (user: string): object => ({ auth: base64(`${user}:secret`) });
const user = (username: string): object => ({ kind: "basic", username, password: "secret" });

function write(path: string, content: unknown, mode = 0o600): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content), { mode });
}

function settings(registry: string, username: string, pathPrefix?: string): RegistrySettings {
  return {
    registry,
    ...(pathPrefix === undefined ? {} : { pathPrefix }),
    kind: "auto",
    insecure: false,
    plainHttp: false,
    connections: 1,
    tokenRealms: [],
    credentials: {
      kind: "basic",
      username: { kind: "text", text: username },
      password: { kind: "text", text: "secret" },
    },
  };
}

/** A helper that answers for one server, and counts how often it was asked. */
function writeHelper(directory: TemporaryDirectory, name: string, script: string): Record<string, string> {
  write(directory.join("bin", `docker-credential-${name}`), `#!/bin/sh\n${script}\n`, 0o700);
  return { HOME: directory.join("home"), PATH: `${directory.join("bin")}:${process.env["PATH"]}` };
}

test.for([
  ["the host", { "quay.io": entry("u") }, "quay.io/a/b", user("u")],
  ["a URL", { "https://quay.io/v2/": entry("u") }, "quay.io/a/b", user("u")],
  ["the Hub's old name", { "https://index.docker.io/v1/": entry("u") }, "docker.io/a/b", user("u")],
  ["the longest path", { "quay.io": entry("x"), "quay.io/a": entry("u") }, "quay.io/a/b", user("u")],
  ["no part of a path", { "quay.io/a": entry("u") }, "quay.io/ab/c", undefined],
  ["a label's glob", { "*.example.com": entry("u") }, "reg.example.com/a/b", user("u")],
  ["never two labels", { "*.example.com": entry("u") }, "a.b.example.com/a/b", undefined],
  ["never another port", { "quay.io:8443": entry("u") }, "quay.io/a/b", undefined],
  ["plain user and password", { "quay.io": { username: "u", password: "secret" } }, "quay.io/a", user("u")],
  ["a padded password", { "quay.io": { auth: base64("u:secret\0\0") } }, "quay.io/a", user("u")],
  [
    "a refresh token",
    { "quay.io": { identitytoken: "t" } },
    "quay.io/a",
    { kind: "identityToken", token: "t" },
  ],
  ["a bearer token", { "quay.io": { registrytoken: "t" } }, "quay.io/a", { kind: "bearer", token: "t" }],
  ["an empty mark", { "quay.io": {} }, "quay.io/a", undefined],
] as const)("an auth file's key is understood: %s", async ([, auths, name, expected]) => {
  const { store } = openCredentials({
    registries: [],
    env: { HOME: "/absent", DOCKER_AUTH_CONFIG: JSON.stringify({ auths }) },
  });
  const [registry = "", ...rest] = name.split("/");
  const found = await store({ registry, repository: rest.join("/") });
  expect(found?.credential).toEqual(expected);
});

test("places are asked in order: configuration, $DOCKER_AUTH_CONFIG, podman's files, docker's files", async () => {
  await using directory = await temporaryDirectory();
  const places: [string, Record<string, string>][] = [
    ["inline", { DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { "quay.io": entry("inline") } }) }],
    ["named", { REGISTRY_AUTH_FILE: directory.join("named") }],
    ["runtime", { XDG_RUNTIME_DIR: directory.join("runtime") }],
    ["xdg", { XDG_CONFIG_HOME: directory.join("xdg") }],
    ["docker", { DOCKER_CONFIG: directory.join("docker") }],
    ["old", { HOME: directory.join("home") }],
  ];
  const auths = (name: string): object => ({ auths: { "quay.io": entry(name) } });
  write(directory.join("named"), auths("named"));
  write(directory.join("runtime/containers/auth.json"), auths("runtime"));
  write(directory.join("xdg/containers/auth.json"), auths("xdg"));
  write(directory.join("docker/config.json"), auths("docker"));
  write(directory.join("home/.dockercfg"), { "quay.io": entry("old") });
  for (const [position, [name]] of places.entries()) {
    const env = Object.assign({ HOME: "/absent" }, ...places.slice(position).map(([, one]) => one));
    const { store } = openCredentials({ registries: [], env });
    expect((await store({ registry: "quay.io", repository: "a" }))?.credential).toEqual(user(name));
  }
});

test("the configuration's longest path wins over every file, and no secret stands in where it came from", async () => {
  const credentials = openCredentials({
    registries: [settings("quay.io", "team", "team"), settings("quay.io", "all")],
    env: { HOME: "/absent", DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { "quay.io": entry("file") } }) },
  });
  const team = { registry: "quay.io", repository: "team/app" };
  expect((await credentials.store(team))?.credential).toEqual(user("team"));
  expect((await credentials.store({ ...team, repository: "teams/app" }))?.credential).toEqual(user("all"));
  const places = (await credentials.candidates(team)).map(({ from }) => from);
  expect(places).toEqual(["registries.quay.io/team in the configuration", "$DOCKER_AUTH_CONFIG"]);
});

test("a helper is asked once with the server on stdin; what it does not know is nobody", async () => {
  await using directory = await temporaryDirectory();
  const env = writeHelper(
    directory,
    "fake",
    `read -r server || true; echo "$server" >> ${directory.join("asked")}
if [ "$server" = quay.io ]; then echo '{"Username":"u","Secret":"secret"}'; else echo "credentials not found in native keychain"; exit 1; fi`,
  );
  write(directory.join("home/.docker/config.json"), {
    credHelpers: { "quay.io": "fake" },
    credsStore: "fake",
  });
  const { store } = openCredentials({ registries: [], env });
  for (let round = 0; round < 2; round++) {
    expect((await store({ registry: "quay.io", repository: "a" }))?.credential).toEqual(user("u"));
    expect(await store({ registry: "ghcr.io", repository: "a" })).toBeUndefined();
  }
  expect(readFileSync(directory.join("asked"), "utf8")).toBe("quay.io\nghcr.io\n");
});

test.for([
  ["fails", "echo broken >&2; exit 2", "fake"],
  ["answers with no JSON", "echo hello", "fake"],
  ["is not installed", "exit 0", "absent"],
  ["has a path for a name", "exit 0", "../fake"],
] as const)("a helper that %s is an error of its own", async ([, script, name]) => {
  await using directory = await temporaryDirectory();
  const env = writeHelper(directory, "fake", script);
  write(directory.join("home/.docker/config.json"), { credsStore: name });
  const { store } = openCredentials({ registries: [], env });
  await expect(store({ registry: "quay.io", repository: "a" })).rejects.toMatchObject({
    code: "AUTH_HELPER",
  });
});

test("a file that changed is read again, and a broken one is told without its content", async () => {
  await using directory = await temporaryDirectory();
  const path = directory.join("auth.json");
  const { store } = openCredentials({ registries: [], env: { HOME: "/absent", REGISTRY_AUTH_FILE: path } });
  const here = { registry: "quay.io", repository: "a" };
  expect(await store(here)).toBeUndefined();
  write(path, { auths: { "quay.io": entry("first") } });
  expect((await store(here))?.credential).toEqual(user("first"));
  write(path, { auths: { "quay.io": entry("the-second") } });
  expect((await store(here))?.credential).toEqual(user("the-second"));
  write(path, '{"auths": hunter2');
  const error: unknown = await store(here).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "AUTH_FILE" });
  expect(JSON.stringify(error) + String(error)).not.toContain("hunter2");
});

test("a secret loses its line end and keeps its spaces", async () => {
  await using directory = await temporaryDirectory();
  write(directory.join("password"), " secret \r\n");
  const registry: RegistrySettings = {
    ...settings("quay.io", "u"),
    credentials: {
      kind: "basic",
      username: { kind: "text", text: "u" },
      password: { kind: "file", path: directory.join("password") },
    },
  };
  const { store } = openCredentials({ registries: [registry], env: {} });
  const found = await store({ registry: "quay.io", repository: "a" });
  expect(found?.credential).toEqual({ kind: "basic", username: "u", password: " secret " });
});
