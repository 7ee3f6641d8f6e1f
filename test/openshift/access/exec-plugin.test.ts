import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { kill } from "node:process";

import { describe, expect, test } from "vitest";

import { openExecPlugin, type ExecPluginOptions } from "../../../src/openshift/access/exec-plugin.ts";
import { openKubeAccess } from "../../../src/openshift/access/kube-access.ts";
import { until } from "../../support/daemon-scene.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../../support/temporary.ts";

const API = "client.authentication.k8s.io/v1";

function credential(status: object = { token: "from-plugin" }): string {
  return JSON.stringify({ apiVersion: API, kind: "ExecCredential", status });
}

/** Writes a plugin: a shell script. Returns its path. */
async function pluginIn(directory: TemporaryDirectory, script: string, name = "plugin"): Promise<string> {
  const path = directory.join(name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

type Opening = { readonly exec?: object; readonly options?: Partial<ExecPluginOptions> };

async function open(
  directory: TemporaryDirectory,
  script: string,
  { exec = {}, options = {} }: Opening = {},
): Promise<ReturnType<typeof openExecPlugin>> {
  const command = await pluginIn(directory, script);
  return openExecPlugin(
    { apiVersion: API, command, ...exec },
    { file: directory.join("kubeconfig"), env: { PATH: "/usr/bin:/bin" }, cluster: {}, ...options },
  );
}

async function runsIn(directory: TemporaryDirectory): Promise<number> {
  return (await readFile(directory.join("runs"), "utf8")).length;
}

/** Whether a process is alive. One that has ended and was not waited for (Z) is not. */
function isAlive(pidFile: string): boolean {
  if (!existsSync(pidFile)) return false;
  const pid = readFileSync(pidFile, "utf8").trim();
  if (pid === "" || !existsSync(`/proc/${pid}/stat`)) return false;
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false; // it ended in between
  }
}

describe("an exec plugin", () => {
  test("that does not end in time is killed with its children", async () => {
    await using directory = await temporaryDirectory();
    const script = `echo $$ > ${directory.join("own")}
      sleep 600 & echo $! > ${directory.join("child")}
      echo 'open https://login.example.com/?token=abcdefgh' >&2
      wait`;
    const plugin = await open(directory, script, { options: { timeoutMs: 1_000 } });
    await expect(plugin()).rejects.toMatchObject({
      code: "CLUSTER_CONFIG",
      message: expect.stringContaining("did not end within 1 seconds"),
    });
    await until(() => !isAlive(directory.join("own")) && !isAlive(directory.join("child")));
  });

  test("that ends and leaves a child behind has answered", async () => {
    await using directory = await temporaryDirectory();
    const script = `sleep 600 & echo $! > ${directory.join("child")}\nprintf '%s' '${credential()}'`;
    const plugin = await open(directory, script);
    await expect(plugin()).resolves.toEqual({ token: "from-plugin" });
    kill(Number(await readFile(directory.join("child"), "utf8")));
  });

  test("gets no variables but a few, and those that the kubeconfig names", async () => {
    await using directory = await temporaryDirectory();
    const script = `env > ${directory.join("env")}\nprintf '%s' '${credential()}'`;
    const env = {
      PATH: "/usr/bin:/bin",
      HOME: "/home/me",
      LC_ALL: "C.UTF-8",
      https_proxy: "http://proxy:3128",
      HUB_PASSWORD: "geheim",
      AWS_PROFILE: "own",
      REGION: "eu",
      NODE_OPTIONS: "--inspect",
      KUBECONFIG: "/elsewhere",
    };
    const named = [{ name: "AWS_PROFILE", value: "prod" }, { name: "REGION" }];
    const plugin = await open(directory, script, { exec: { env: named }, options: { env } });
    await plugin();
    const lines = (await readFile(directory.join("env"), "utf8")).trim().split("\n");
    const seen = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
    for (const shell of ["PWD", "OLDPWD", "SHLVL", "_"]) delete seen[shell];
    expect(seen).toEqual({
      PATH: "/usr/bin:/bin",
      HOME: "/home/me",
      LC_ALL: "C.UTF-8",
      https_proxy: "http://proxy:3128",
      AWS_PROFILE: "prod",
      REGION: "eu",
      KUBERNETES_EXEC_INFO: JSON.stringify({
        apiVersion: API,
        kind: "ExecCredential",
        spec: { interactive: false },
      }),
    });
  });

  test("is told of the cluster where the kubeconfig wants it", async () => {
    await using directory = await temporaryDirectory();
    const script = `printf '%s' "$KUBERNETES_EXEC_INFO" > ${directory.join("info")}\nprintf '%s' '${credential()}'`;
    const plugin = await open(directory, script, {
      exec: { provideClusterInfo: true },
      options: { cluster: { server: "https://api.example.com:6443" } },
    });
    await plugin();
    expect(JSON.parse(await readFile(directory.join("info"), "utf8"))).toMatchObject({
      spec: { cluster: { server: "https://api.example.com:6443" } },
    });
  });

  test("that prints without end is killed", async () => {
    await using directory = await temporaryDirectory();
    const plugin = await open(directory, `echo $$ > ${directory.join("own")}\nexec yes`);
    await expect(plugin()).rejects.toMatchObject({
      code: "CLUSTER_CONFIG",
      message: expect.stringContaining("printed more than 1048576 bytes"),
    });
    await until(() => !isAlive(directory.join("own")));
  });

  test("that complains without end may do so, and answer", async () => {
    await using directory = await temporaryDirectory();
    const script = `yes complaint | head -c 3000000 >&2\nprintf '%s' '${credential()}'`;
    await expect((await open(directory, script))()).resolves.toEqual({ token: "from-plugin" });
  });

  test("that fails says why, without the secrets", async () => {
    await using directory = await temporaryDirectory();
    const script = `echo 'session expired: user me, Authorization: Bearer abcDEF123456,
      eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl, secrets' "$2" "$AWS_SECRET_ACCESS_KEY" >&2; exit 3`;
    const plugin = await open(directory, script, {
      exec: {
        args: ["--client-secret", "client-geheim"],
        env: [{ name: "AWS_SECRET_ACCESS_KEY", value: "aws-geheim" }],
      },
    });
    const error: unknown = await plugin().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "CLUSTER_CONFIG",
      message: expect.stringMatching(/failed with exit code 3: session expired: user me/),
    });
    expect(JSON.stringify([error, String(error)])).not.toMatch(/abcDEF123456|eyJ|client-geheim|aws-geheim/);
  });

  test.for<readonly [string, string, object, string]>([
    ["says no JSON", "echo token", {}, "as JSON"],
    ["prints something else as JSON", `echo '{"kind":"Secret"}'`, {}, "ExecCredential"],
    ["prints no credential", `echo '${credential({})}'`, {}, "neither a token nor a certificate"],
    [
      "prints a certificate without its key",
      `echo '${credential({ clientCertificateData: "x" })}'`,
      {},
      "neither a token nor a certificate",
    ],
    ["prints two lines as token", `echo '${credential({ token: "a\\nb" })}'`, {}, "no request can carry"],
    [
      "prints a date that is none",
      `echo '${credential({ token: "a", expirationTimestamp: "soon" })}'`,
      {},
      "not a time",
    ],
    [
      "is not installed",
      "",
      { command: "tagferry-has-no-such-plugin", installHint: "Get it from example.com." },
      "is not installed: Get it from example.com.",
    ],
    ["has a name with a NUL byte", "", { command: "a\0b" }, "could not be started"],
  ])("that %s is a fault of the configuration", async ([, script, exec, message]) => {
    await using directory = await temporaryDirectory();
    const plugin = await open(directory, script, { exec });
    await expect(plugin()).rejects.toMatchObject({
      code: "CLUSTER_CONFIG",
      message: expect.stringContaining(message),
      details: { where: directory.join("kubeconfig") },
    });
  });

  test.for([
    ["asks questions", { apiVersion: API, command: "x", interactiveMode: "Always" }],
    ["has no command", { apiVersion: API }],
    ["has args that are a text", { apiVersion: API, command: "x", args: "get-token" }],
    ["is a text", "get-token"],
  ])("that %s is not started", ([, exec]) => {
    expect(() => openExecPlugin(exec, { file: "kubeconfig", env: {}, cluster: {} })).toThrow(
      /no way to the cluster/,
    );
  });

  test("runs once for many who ask at once, and again for those who come after a failure", async () => {
    await using directory = await temporaryDirectory();
    const script = `printf x >> ${directory.join("runs")}\n[ -e ${directory.join("ok")} ] || exit 1\nprintf '%s' '${credential()}'`;
    const plugin = await open(directory, script);
    const failed = await Promise.allSettled(Array.from({ length: 20 }, plugin));
    expect(new Set(failed.map(({ status }) => status))).toEqual(new Set(["rejected"]));
    expect(await runsIn(directory)).toBe(1);
    await writeFile(directory.join("ok"), "");
    expect(await Promise.all(Array.from({ length: 20 }, plugin))).toEqual(
      Array.from({ length: 20 }, () => ({ token: "from-plugin" })),
    );
    await plugin();
    expect(await runsIn(directory)).toBe(2);
  });

  test("runs again shortly before its credential expires", async () => {
    await using directory = await temporaryDirectory();
    let nowMs = Date.parse("2026-06-10T00:00:00Z");
    const status = { token: "short", expirationTimestamp: "2026-06-10T00:10:00Z" };
    const script = `printf x >> ${directory.join("runs")}\nprintf '%s' '${credential(status)}'`;
    const plugin = await open(directory, script, { options: { now: () => nowMs } });
    await plugin();
    nowMs += 9 * 60_000;
    await plugin();
    expect(await runsIn(directory)).toBe(1);
    nowMs += 58_000;
    await plugin();
    expect(await runsIn(directory)).toBe(2);
  });
});

async function accessWith(directory: TemporaryDirectory, user: object) {
  const kubeconfigFile = directory.join("kubeconfig");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "one",
    contexts: [{ name: "one", context: { cluster: "one", user: "one" } }],
    clusters: [{ name: "one", cluster: { server: "https://one.example.com:6443" } }],
    users: [{ name: "one", user }],
  };
  await writeFile(kubeconfigFile, JSON.stringify(config));
  return openKubeAccess({ kubeconfigFile, env: { PATH: "/usr/bin:/bin", HUB_PASSWORD: "geheim" } });
}

describe("the exec plugin of a kubeconfig", () => {
  test("is looked for beside its file, and sees none of our secrets", async () => {
    await using directory = await temporaryDirectory();
    await mkdir(directory.join("bin"));
    await pluginIn(
      directory,
      `printf '%s' '${credential()}' | sed "s/from-plugin/from-$HUB_PASSWORD-plugin/"`,
      "bin/login",
    );
    const access = await accessWith(directory, { exec: { apiVersion: API, command: "./bin/login" } });
    await expect(access.headers()).resolves.toEqual({ authorization: "Bearer from--plugin" });
  });

  test("can be a certificate", async () => {
    await using directory = await temporaryDirectory();
    const status = { clientCertificateData: "CERT", clientKeyData: "KEY" };
    const command = await pluginIn(directory, `printf '%s' '${credential(status)}'`);
    const access = await accessWith(directory, { exec: { apiVersion: API, command } });
    expect(access.tls).toMatchObject({ cert: "CERT", key: "KEY" });
    await expect(access.headers()).resolves.toEqual({});
  });

  test.for(["gcp", "azure", "exec"])("is the way for what an auth-provider %s did", async (name) => {
    await using directory = await temporaryDirectory();
    const config = { "cmd-path": "/bin/false", exec: { command: "/bin/false" } };
    await expect(accessWith(directory, { "auth-provider": { name, config } })).rejects.toMatchObject({
      code: "CLUSTER_CONFIG",
      message: expect.stringContaining("use an exec plugin"),
    });
  });
});
