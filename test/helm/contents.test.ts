import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

import { Redis } from "ioredis";
import { beforeAll, describe, expect, test } from "vitest";

import { loadConfig } from "../../src/config/file/load.ts";
import { checkSchedules } from "../../src/daemon/triggers/check-schedules.ts";
import { checkTagRules } from "../../src/plan/patterns.ts";
import { openMetrics } from "../../src/web/metrics.ts";
import { makeCertificates } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { HELM_TIMEOUT_MS, prepareHelm, CHART, type KubeObject, render } from "../support/helm.ts";
import { startRedis } from "../support/redis.ts";
import { startServe } from "../support/tagferry.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";
import { freshMirror, memoryView } from "../support/view.ts";

beforeAll(prepareHelm, HELM_TIMEOUT_MS);

const NAMES = ["minimal", "production", "external-redis", "air-gap"] as const;
const SECRET = "correct-horse";
const valuesOf = (name: string): string => resolve(import.meta.dirname, `values-${name}.yaml`);

type Volume = {
  readonly name: string;
  readonly projected?: { readonly sources: readonly { readonly secret: Items }[] };
  readonly secret?: Items;
  readonly configMap?: Items & { readonly name: string };
};
type Items = { readonly items?: readonly { readonly path: string }[] };
type Probe = { readonly httpGet: { readonly path: string } };
type PodSpec = {
  readonly containers: readonly {
    readonly args?: readonly string[];
    readonly startupProbe?: Probe;
    readonly readinessProbe?: Probe;
    readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
    readonly command?: readonly string[];
  }[];
  readonly volumes: readonly Volume[];
};

function podOf(objects: readonly KubeObject[], name: string): PodSpec {
  const found = objects.find(
    ({ kind, metadata }) => /^(Deployment|StatefulSet)$/.test(kind) && metadata.name === name,
  );
  if (!found) throw new Error(`no ${name}`);
  const { template } = found.spec as { readonly template: { readonly spec: PodSpec } };
  return template.spec;
}

/** Whether the pod has a volume in which the file may be. */
function holds({ containers, volumes }: PodSpec, file: string): boolean {
  const mounts = containers[0]?.volumeMounts ?? [];
  const mount = mounts.find(({ mountPath }) => dirname(file) === mountPath);
  const volume = volumes.find(({ name }) => name === mount?.name);
  const parts = volume?.projected?.sources.map(({ secret }) => secret) ?? [
    volume?.secret ?? volume?.configMap,
  ];
  return parts.some(
    (part) => part && (part.items?.some(({ path }) => join(mount?.mountPath ?? "", path) === file) ?? true),
  );
}

const configOf = (objects: readonly KubeObject[]): string =>
  objects.find(({ kind, metadata }) => kind === "ConfigMap" && metadata.name === "tagferry")?.data?.[
    "tagferry.yaml"
  ] ?? "";

/** The configuration and the files it names, as the pod has them, below a directory. */
async function writeAsMounted(
  objects: readonly KubeObject[],
  directory: TemporaryDirectory,
  change: (text: string) => string = (text) => text,
): Promise<{ readonly file: string; readonly files: readonly string[] }> {
  const { ca } = await makeCertificates();
  const text = configOf(objects);
  const files = [...text.matchAll(/(\/(?:run\/secrets|etc\/tagferry-ca)\/\S+)/g)].map(
    ([, file = ""]) => file,
  );
  for (const file of files) {
    await mkdir(directory.join(dirname(file)), { recursive: true });
    await writeFile(directory.join(file), /-ca[/.]/.test(file) ? ca.cert : SECRET);
  }
  const file = directory.join("tagferry.yaml");
  const here = text.replaceAll(/(\/run\/secrets|\/etc\/tagferry-ca)\//g, `${directory.path}$1/`);
  await writeFile(file, change(here));
  return { file, files };
}

describe("the configuration in the chart", () => {
  test.for(NAMES)("of %s is one the daemon takes, and each file it names is mounted", async (name) => {
    await using directory = await temporaryDirectory();
    const objects = await render(valuesOf(name));
    const { file, files } = await writeAsMounted(objects, directory);
    expect(files).toContain("/run/secrets/tagferry/token");
    for (const mounted of files) expect(holds(podOf(objects, "tagferry"), mounted), mounted).toBe(true);
    const { config } = await loadConfig({
      file,
      env: { QUAY_USER: "corp+mirror", QUAY_PASSWORD: "secret" },
      directory: directory.path,
      checks: [checkTagRules, checkSchedules],
    });
    expect(config.daemon.listen).toEqual({ host: "0.0.0.0", port: 8080 });
    expect(config.daemon.healthListen).toEqual({ host: "0.0.0.0", port: 8081 });
    expect(config.daemon.token).toBeDefined();
  });

  test("reaches the daemon as it was written: words that look like numbers stay words", async () => {
    const objects = await render(valuesOf("production"));
    await using directory = await temporaryDirectory();
    const bare = configOf(objects).replaceAll(/^daemon:\n(?: .*\n)+|^registries:\n(?: .*\n)+/gm, "");
    await writeFile(directory.join("tagferry.yaml"), bare);
    const { config } = await loadConfig({ env: {}, directory: directory.path });
    expect(config.mirrors.find(({ name }) => name === "jenkins")?.tags).toEqual({
      kind: "exact",
      tags: ["latest", "2", "1.10", "1e3"],
    });
  });
});

describe("the pods of the chart", () => {
  test("run as they are told to, and answer their probes", async () => {
    await using directory = await temporaryDirectory();
    await using redis = await startRedis({ config: { requirepass: SECRET } });
    const healthPort = await freePort();
    const objects = await render(valuesOf("production"));
    const onThisMachine = (text: string): string =>
      text
        .replace("rediss://tagferry-redis.tagferry.svc:6379", redis.url)
        .replace("0.0.0.0:8080", "127.0.0.1:0")
        .replace("0.0.0.0:8081", `127.0.0.1:${healthPort}`);
    const { file } = await writeAsMounted(objects, directory, onThisMachine);
    for (const name of ["tagferry", "tagferry-workers"]) {
      const [container] = podOf(objects, name).containers;
      const [kind = "", ...args] = container?.args ?? [];
      if (kind !== "serve" && kind !== "worker") throw new Error(`${name} runs ${kind}`);
      const { child, url, said } = await startServe([...args.map(onThisMachine), "-c", file], { kind });
      try {
        for (const probe of [container?.startupProbe, container?.readinessProbe]) {
          const answer = await fetch(`http://127.0.0.1:${healthPort}${probe?.httpGet.path}`);
          expect(answer.status, said()).toBe(200);
          await answer.body?.cancel();
        }
        const metrics = await (await fetch(`${url}/metrics`)).text();
        expect(metrics).toContain("tagferry_redis_up 1");
      } finally {
        const exit = once(child, "exit");
        child.kill("SIGTERM");
        expect(await exit, said()).toEqual([0, null]);
      }
    }
  });
});

/** Metrics as a query names them. */
function namesIn(text: string): readonly string[] {
  return [...new Set([...text.matchAll(/\btagferry_[a-z0-9_]+/g)].map(([name]) => name))];
}

describe("alerts and dashboard", () => {
  test("ask for metrics that the daemon has", async () => {
    const view = memoryView();
    view.set(freshMirror("app"));
    using metrics = openMetrics(view);
    const served = [...(await metrics.text()).matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(
      ([, name = "", type]) =>
        type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    );
    const objects = await render(valuesOf("production"));
    const rule = JSON.stringify(objects.find(({ kind }) => kind === "PrometheusRule")?.spec);
    const dashboard = await readFile(resolve(CHART, "files/dashboard.json"), "utf8");
    const { spec: scaling } = (await render(valuesOf("external-redis"))).find(
      ({ kind }) => kind === "ScaledObject",
    ) ?? { spec: undefined };
    expect(namesIn(rule).length).toBeGreaterThan(6);
    expect(namesIn(dashboard).length).toBeGreaterThan(10);
    for (const name of namesIn(rule + dashboard + JSON.stringify(scaling))) expect(served).toContain(name);
  });

  test("carry the dashboard into the cluster as it is", async () => {
    const objects = await render(valuesOf("production"));
    const carried = objects.find(({ metadata }) => metadata.name === "tagferry-dashboard")?.data?.[
      "tagferry.json"
    ];
    const file = await readFile(resolve(CHART, "files/dashboard.json"), "utf8");
    expect(JSON.parse(carried ?? "")).toEqual(JSON.parse(file));
    const { panels } = JSON.parse(file) as { readonly panels: readonly { readonly id: number }[] };
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });
});

describe("the Redis in the chart", () => {
  test("starts as its pod says, over TLS with the certificate that the chart made, knows its password, evicts nothing and keeps what it took", async () => {
    await using directory = await temporaryDirectory();
    const port = await freePort();
    const objects = await render(valuesOf("production"));
    const conf = objects.find(
      ({ kind, metadata }) => kind === "ConfigMap" && metadata.name === "tagferry-redis",
    );
    const here = (text: string): string =>
      text
        .replaceAll(/(\/etc\/redis|\/run\/secrets\/redis|\/tmp|\/data)\b/g, `${directory.path}$1`)
        .replace("tls-port 6379", `tls-port ${port}`)
        .replace("bind * -::*", "bind 127.0.0.1");
    for (const path of ["etc/redis", "run/secrets/redis", "run/secrets/redis-tls", "tmp", "data"])
      await mkdir(directory.join(path), { recursive: true });
    await writeFile(directory.join("etc/redis/redis.conf"), here(conf?.data?.["redis.conf"] ?? ""));
    const password = 'quo"te\\back & slash';
    await writeFile(directory.join("run/secrets/redis/password"), `${password}\n`);
    const tls = objects.find(({ metadata }) => metadata.name === "tagferry-redis-tls")?.data ?? {};
    const pem = (name: string): string => Buffer.from(tls[name] ?? "", "base64").toString();
    for (const name of Object.keys(tls))
      await writeFile(directory.join(`run/secrets/redis-tls/${name}`), pem(name));
    const [command = "", ...args] = podOf(objects, "tagferry-redis").containers[0]?.command ?? [];

    const child = spawn(command, args.map(here), { stdio: ["ignore", "pipe", "inherit"] });
    try {
      for await (const chunk of child.stdout)
        if (String(chunk).includes("Ready to accept connections")) break;
      // the daemon compares its name in the cluster with the certificate
      const servername = "tagferry-redis.tagferry.svc";
      const options = {
        host: "127.0.0.1",
        port,
        lazyConnect: true,
        retryStrategy: () => null,
        tls: { ca: pem("ca.crt"), servername },
      };
      const stranger = new Redis(options);
      stranger.on("error", () => {});
      await expect(stranger.set("a", "b")).rejects.toThrow("NOAUTH");
      stranger.disconnect();
      const client = new Redis({ ...options, password });
      client.on("error", () => {});
      expect(await client.ping()).toBe("PONG");
      const memory = await client.info("memory");
      expect(memory).toContain("maxmemory_policy:noeviction");
      expect(await client.info("persistence")).toContain("aof_enabled:1");
      client.disconnect();
    } finally {
      const exit = once(child, "exit");
      child.kill("SIGTERM");
      // the shell was replaced by Redis (exec), so the signal stops it properly
      expect(await exit).toEqual([0, null]);
    }
  });
});
