import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";

import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";

import {
  HELM_TIMEOUT_MS,
  prepareHelm,
  CHART,
  helm,
  type KubeObject,
  render,
  renderText,
  template,
} from "../support/helm.ts";

beforeAll(prepareHelm, HELM_TIMEOUT_MS);

const NAMES = ["minimal", "production", "external-redis", "air-gap"] as const;
const UPDATE = process.env["UPDATE_GOLDEN"] === "1";

const valuesOf = (name: string): string => resolve(import.meta.dirname, `values-${name}.yaml`);
const goldenOf = (name: string): string => resolve(import.meta.dirname, `golden/${name}.yaml`);

type Json = Readonly<Record<string, unknown>>;

async function values(name: string): Promise<Record<string, unknown>> {
  return parse(await readFile(valuesOf(name), "utf8")) as Record<string, unknown>;
}

type Container = {
  readonly name: string;
  readonly args?: readonly string[];
  readonly securityContext: Json;
  readonly resources: { readonly requests: Json; readonly limits: Json };
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: Json }[];
  readonly startupProbe?: Json;
  readonly livenessProbe?: Json;
  readonly readinessProbe?: Json;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
};

type Pod = {
  readonly of: string;
  readonly metadata: { readonly labels: Json; readonly annotations: Readonly<Record<string, string>> };
  readonly spec: Json & {
    readonly containers: readonly Container[];
    readonly securityContext: Json;
    readonly terminationGracePeriodSeconds: number;
  };
};

function podsOf(objects: readonly KubeObject[]): readonly Pod[] {
  return objects
    .filter(({ kind }) => ["Deployment", "StatefulSet"].includes(kind))
    .map(({ metadata, spec }) => ({ ...(spec?.["template"] as Pod), of: metadata.name }));
}

/** The arguments of each pod, by the name of its Deployment. */
async function argsOf(name: string): Promise<unknown> {
  const pods = podsOf(await render(valuesOf(name)));
  return Object.fromEntries(pods.map(({ of, spec }) => [of, spec.containers[0]?.args]));
}

function only(objects: readonly KubeObject[], kind: string, name?: string): KubeObject {
  const found = objects.filter(
    (one) => one.kind === kind && (name === undefined || one.metadata.name === name),
  );
  expect(found, `${kind} ${name ?? ""}`).toHaveLength(1);
  return found[0] as KubeObject;
}

/** Every key of every map, however deep. */
function keysOf(value: unknown): readonly string[] {
  if (typeof value !== "object" || value === null) return [];
  const own = Array.isArray(value) ? [] : Object.keys(value);
  return [...own, ...Object.values(value).flatMap(keysOf)];
}

/** What the chart makes is random. */
function withoutMadeSecrets(text: string): string {
  return text.replaceAll(
    /^( {2}(?:job-key|redis-password|(?:ca|tls)\.crt|tls\.key): )[A-Za-z0-9+/=]{20,}$/gm,
    "$1(made)",
  );
}

describe("the chart", () => {
  test("passes Helm's strict lint with its defaults and with each values file", async () => {
    const files = [[], ...NAMES.map((name) => ["--values", valuesOf(name)])];
    for (const file of files) {
      const { code, stdout, stderr } = await helm("lint", "--strict", CHART, ...file);
      expect(code, `${stdout}${stderr}`).toBe(0);
    }
  });

  test.for(NAMES)("renders %s as before", async (name) => {
    const text = withoutMadeSecrets(await renderText(valuesOf(name)));
    if (UPDATE) await writeFile(goldenOf(name), text);
    expect(text).toBe(await readFile(goldenOf(name), "utf8"));
  });

  test("keeps its version with the product's", async () => {
    const chart = parse(await readFile(resolve(CHART, "Chart.yaml"), "utf8")) as Json;
    const { version } = JSON.parse(await readFile(resolve(CHART, "../package.json"), "utf8")) as {
      readonly version: string;
    };
    expect(chart["appVersion"]).toBe(version);
  });

  test("has a place in one namespace for each object, and no two of one name", async () => {
    for (const name of NAMES) {
      const ids = (await render(valuesOf(name))).map(
        ({ kind, metadata }) => `${kind} ${metadata.namespace ?? ""}/${metadata.name}`,
      );
      expect(new Set(ids).size).toBe(ids.length);
    }
  });
});

describe("its pods", () => {
  test.for(NAMES)(
    "pass restricted-v2 with %s: no UID of ours, and nothing but what is needed",
    async (name) => {
      const pods = podsOf(await render(valuesOf(name)));
      expect(pods.length).toBeGreaterThan(0);
      for (const pod of pods) {
        for (const key of [
          "runAsUser",
          "runAsGroup",
          "fsGroup",
          "supplementalGroups",
          "privileged",
          "hostPath",
        ])
          expect(keysOf(pod), `${pod.of}: ${key}`).not.toContain(key);
        for (const key of ["hostNetwork", "hostPID", "hostIPC", "hostPort", "initContainers"])
          expect(keysOf(pod), `${pod.of}: ${key}`).not.toContain(key);
        expect(pod.spec.securityContext).toEqual({
          runAsNonRoot: true,
          seccompProfile: { type: "RuntimeDefault" },
        });
        for (const container of pod.spec.containers)
          expect(container.securityContext).toEqual({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            runAsNonRoot: true,
            capabilities: { drop: ["ALL"] },
          });
      }
    },
  );

  test.for(NAMES)("say what they use with %s, and can write to /tmp", async (name) => {
    for (const { of, spec } of podsOf(await render(valuesOf(name))))
      for (const { resources, volumeMounts } of spec.containers) {
        expect(resources.requests, of).toMatchObject({ cpu: expect.any(String), memory: expect.any(String) });
        expect(resources.limits, of).toMatchObject({ memory: expect.any(String) });
        expect(volumeMounts).toContainEqual({ name: "tmp", mountPath: "/tmp" });
      }
  });

  test.for(NAMES)(
    "are asked at /livez whether they live and at /readyz whether they work with %s",
    async (name) => {
      const pods = podsOf(await render(valuesOf(name))).filter(({ of }) => !of.endsWith("-redis"));
      for (const { spec } of pods) {
        const [container] = spec.containers;
        expect(container?.startupProbe).toMatchObject({ httpGet: { path: "/livez", port: "health" } });
        expect(container?.livenessProbe).toMatchObject({ httpGet: { path: "/livez", port: "health" } });
        expect(container?.readinessProbe).toMatchObject({ httpGet: { path: "/readyz", port: "health" } });
      }
    },
  );

  test("may end what is under way: the pod outlives daemon.grace", async () => {
    const minimal = await values("minimal");
    for (const [grace, seconds] of [
      [undefined, 25],
      ["25s", 25],
      ["2m", 120],
      ["1h30m", 5400],
      ["1500ms", 2],
    ] as const) {
      const daemon = grace === undefined ? {} : { grace };
      const pods = podsOf(await render({ ...minimal, config: { ...(minimal["config"] as object), daemon } }));
      for (const { spec } of pods) expect(spec.terminationGracePeriodSeconds, grace).toBeGreaterThan(seconds);
      for (const { spec } of pods)
        expect(spec.terminationGracePeriodSeconds, grace).toBeLessThanOrEqual(seconds + 30);
    }
  });

  test("are not started anew for another mirror, but for another Redis", async () => {
    const production = await values("production");
    const before = podsOf(await render(production));
    const config = production["config"] as { readonly mirrors: readonly object[] };
    const mirrors = [...config.mirrors, { source: "quay.io/a/b", target: "imagestream:web/b" }];
    expect(podsOf(await render({ ...production, config: { ...config, mirrors } }))).toEqual(before);
    const redis = { url: "redis://redis.example.com:6379" };
    const [moved] = podsOf(await render({ ...production, redis }));
    const [here] = before;
    expect(moved?.metadata.annotations).not.toEqual(here?.metadata.annotations);
  });

  test("run images by their digests where the values have them, Redis too", async () => {
    const [ours, redis] = ["a", "b"].map((digit) => `sha256:${digit.repeat(64)}`);
    const objects = await render({
      ...(await values("production")),
      image: { repository: "registry.corp.example/tools/tagferry", digest: ours },
      redis: { enabled: true, image: { repository: "docker.io/library/redis", digest: redis } },
    });
    const images = objects.flatMap(({ spec }) => [
      ...JSON.stringify(spec ?? {}).matchAll(/"image":"([^"]+)"/g),
    ]);
    expect(new Set(images.map(([, image]) => image))).toEqual(
      new Set([`docker.io/library/redis@${redis}`, `registry.corp.example/tools/tagferry@${ours}`]),
    );
  });

  test("are the daemon alone, or a daemon that only schedules and workers that work", async () => {
    expect(await argsOf("minimal")).toEqual({ tagferry: ["serve"] });
    expect(await argsOf("production")).toEqual({
      tagferry: ["serve", "--workers", "0"],
      "tagferry-workers": [
        "worker",
        "--listen",
        "0.0.0.0:8080",
        "--health-listen",
        "0.0.0.0:8081",
        "--workers",
        "6",
      ],
      "tagferry-redis": undefined,
    });
  });

  test("get no token of the cluster when no mirror needs the cluster", async () => {
    const minimal = await values("minimal");
    const tokenFor = async (mirror: object): Promise<unknown> => {
      const config = { version: 1, mirrors: [{ source: "quay.io/a/b", ...mirror }] };
      return podsOf(await render({ ...minimal, config }))[0]?.spec["automountServiceAccountToken"];
    };
    expect(await tokenFor({ target: "harbor.example.com/a/b" })).toBe(false);
    expect(await tokenFor({ target: "imagestream:web/b" })).toBe(true);
    const integrated = "image-registry.openshift-image-registry.svc:5000/web/b";
    expect(await tokenFor({ source: integrated, target: "harbor.example.com/a/b" })).toBe(true);
  });

  test("get the cluster's token only where it is used", async () => {
    for (const { of, spec } of podsOf(await render(valuesOf("production"))))
      expect(spec["automountServiceAccountToken"], of).toBe(!of.endsWith("-redis"));
    const account = only(await render(valuesOf("production")), "ServiceAccount");
    expect(account).toMatchObject({ automountServiceAccountToken: false });
  });
});

describe("workers", () => {
  test.for([
    ["none", undefined, 3],
    ["hpa", "HorizontalPodAutoscaler", undefined],
    ["keda", "ScaledObject", undefined],
  ] as const)("scaled by %s: who scales them says how many they are", async ([kind, scaler, replicas]) => {
    const production = await values("production");
    const workers = { enabled: true, replicas: 3, autoscaling: { kind, min: 2, max: 9, jobsPerWorker: 5 } };
    const objects = await render({ ...production, workers });
    const scalers = objects.filter((one) => ["HorizontalPodAutoscaler", "ScaledObject"].includes(one.kind));
    expect(scalers.map((one) => one.kind)).toEqual(scaler === undefined ? [] : [scaler]);
    expect(only(objects, "Deployment", "tagferry-workers").spec?.["replicas"]).toBe(replicas);
    for (const { spec } of scalers) {
      expect(spec?.["scaleTargetRef"]).toMatchObject({ name: "tagferry-workers" });
      expect([spec?.["minReplicas"] ?? spec?.["minReplicaCount"]]).toEqual([2]);
      expect([spec?.["maxReplicas"] ?? spec?.["maxReplicaCount"]]).toEqual([9]);
      expect(JSON.stringify(spec)).toContain("tagferry_jobs");
    }
  });
});

describe("secrets", () => {
  test.for(NAMES)("are in no variable and no configuration with %s", async (name) => {
    const objects = await render(valuesOf(name));
    for (const { spec } of podsOf(objects))
      for (const { env = [] } of spec.containers)
        for (const { name: variable, value } of env)
          if (/PASSWORD|TOKEN|SECRET/.test(variable)) expect(value, variable).toBeUndefined();
    const made = objects
      .filter(({ kind }) => kind === "Secret")
      .flatMap(({ data = {} }) => Object.values(data));
    const others = JSON.stringify(objects.filter(({ kind }) => kind !== "Secret"));
    for (const value of made) {
      expect(others).not.toContain(value);
      expect(others).not.toContain(Buffer.from(value, "base64").toString());
    }
  });

  test.for([
    ["minimal", []],
    ["production", ["tagferry-job-key", "tagferry-redis", "tagferry-redis-tls"]],
    ["external-redis", ["tagferry-job-key"]],
    ["air-gap", ["tagferry-job-key", "tagferry-redis"]],
  ] as const)("are made by the chart with %s: %j, and outlive it", async ([name, expected]) => {
    const secrets = (await render(valuesOf(name))).filter(({ kind }) => kind === "Secret");
    expect(secrets.map(({ metadata }) => metadata.name)).toEqual(expected);
    for (const { metadata, data = {} } of secrets) {
      expect(metadata.annotations).toMatchObject({ "helm.sh/resource-policy": "keep" });
      for (const value of Object.values(data))
        expect(Buffer.from(value, "base64").length).toBeGreaterThanOrEqual(48);
    }
  });

  test("that the values name are used as they are, and none is made", async () => {
    const production = await values("production");
    const objects = await render({
      ...production,
      jobKey: { secret: "own-job", key: "k" },
      redis: { enabled: true, password: { secret: "own-redis", key: "p" }, tls: { secret: "own-tls" } },
    });
    expect(objects.filter(({ kind }) => kind === "Secret")).toEqual([]);
    const pods = JSON.stringify(podsOf(objects));
    for (const name of ["own-job", "own-redis", "own-tls"]) expect(pods).toContain(name);
  });

  test("of a read token and of senders reach the pod", async () => {
    const [pod] = podsOf(
      await render({
        ...(await values("minimal")),
        readToken: { secret: "tagferry", key: "read-token" },
        webhooks: { enabled: true, senders: [{ sender: "harbor", secret: "hooks", key: "h" }] },
      }),
    );
    expect(JSON.stringify(pod?.spec["volumes"])).toContain('"path":"webhook-harbor"');
    expect(JSON.stringify(pod?.spec["volumes"])).toContain('"path":"read-token"');
  });

  test("are files of the pod, each from the Secret that the values name", async () => {
    const pods = podsOf(await render(valuesOf("external-redis")));
    expect(pods).toHaveLength(2);
    for (const { spec } of pods) {
      expect(spec["volumes"]).toContainEqual({
        name: "secrets",
        projected: {
          defaultMode: 0o440,
          sources: [
            { secret: { name: "tagferry", items: [{ key: "token", path: "token" }] } },
            { secret: { name: "corp-redis", items: [{ key: "password", path: "redis-password" }] } },
            { secret: { name: "tagferry-job-key", items: [{ key: "job-key", path: "job-key" }] } },
          ],
        },
      });
      expect(spec.containers[0]?.env).toContainEqual({
        name: "REGISTRY_AUTH_FILE",
        value: "/run/secrets/registries/.pull/config.json",
      });
    }
  });
});

describe("what does not go together", () => {
  test.for([
    ["a typo", { netwrokPolicy: { enabled: true } }, "netwrokPolicy"],
    ["a typo inside", { redis: { enabledd: true } }, "enabledd"],
    ["a typo in the configuration", { config: { version: 1, mirors: [] } }, "mirors"],
    ["a mirror's typo", { config: { version: 1, mirrors: [{ source: "a", target: "b", tag: "x" }] } }, "tag"],
    ["what the chart sets", { config: { version: 1, mirrors: [], daemon: { listen: ":1" } } }, "listen"],
    ["a password in the address of Redis", { redis: { url: "redis://:secret@redis:6379" } }, "redis/url"],
    ["a path of the node", { volumes: [{ name: "x", hostPath: { path: "/" } }] }, "hostPath"],
    ["a number as text", { replicas: "two" }, "replicas"],
    ["workers without Redis", { workers: { enabled: true } }, "workers.enabled"],
    ["two daemons without Redis", { replicas: 2 }, "replicas"],
    ["two Redis", { redis: { enabled: true, url: "redis://r:6379" } }, "redis"],
    ["no image", { image: { repository: "" } }, "image.repository"],
    ["no mirrors", { config: { version: 1, mirrors: [] } }, "config.mirrors"],
    [
      "a namespace that only the pod knows",
      { config: { version: 1, mirrors: [{ source: "quay.io/a/b", target: "imagestream:${NS}/b" }] } },
      "rbac.namespaces",
    ],
  ] as const)("refuses %s", async ([, wrong, told]) => {
    const file = { ...(await values("minimal")), ...wrong };
    const { code, stderr } = await template(file);
    expect(code).not.toBe(0);
    expect(stderr).toContain(told);
  });

  test("knows every key of the configuration file, as config/schema.json does", async () => {
    const path = resolve(CHART, "values.schema.json");
    const schema = JSON.parse(await readFile(path, "utf8")) as { properties: { config: unknown } };
    const {
      $schema: _,
      title: __,
      ...file
    } = JSON.parse(await readFile(resolve(CHART, "../config/schema.json"), "utf8")) as {
      $schema: string;
      title: string;
      properties: { daemon: { properties: Record<string, unknown> }; mirrors: { minItems?: number } };
    };
    // the chart sets these itself, and has a better message for a file without mirrors
    for (const key of [
      "redis",
      "listen",
      "healthListen",
      "tokenFile",
      "readTokenFile",
      "jobKeyFile",
      "webhooks",
    ])
      delete file.properties.daemon.properties[key];
    delete file.properties.mirrors.minItems;
    if (UPDATE) {
      schema.properties.config = file;
      await writeFile(path, `${JSON.stringify(schema, undefined, 2)}\n`);
    }
    expect(schema.properties.config).toEqual(file);
  });

  test("has a default for every key of its schema, and no map in it takes strangers", async () => {
    const schema = JSON.parse(await readFile(resolve(CHART, "values.schema.json"), "utf8")) as Schema;
    const defaults = parse(await readFile(resolve(CHART, "values.yaml"), "utf8")) as Json;
    type Schema = { readonly properties: Record<string, Schema>; readonly additionalProperties?: unknown };
    const compare = (at: string, { properties, additionalProperties }: Schema, found: Json): void => {
      expect(additionalProperties, at).toBe(false);
      expect(Object.keys(found).toSorted(), at).toEqual(
        Object.keys(properties)
          .filter((key) => !["global", "externalCertificate", "claims"].includes(key))
          .toSorted(),
      );
      for (const [key, inner] of Object.entries(properties))
        if (inner.properties && !["config", "resources", "externalCertificate"].includes(key))
          compare(`${at}.${key}`, inner, found[key] as Json);
    };
    compare("values", schema, defaults);
  });
});

/** The ports of any host that the pods may reach, with a change of the least values. */
async function portsOut(change: object): Promise<readonly number[]> {
  const { spec } = only(
    await render({ ...(await values("minimal")), ...change }),
    "NetworkPolicy",
    "tagferry",
  );
  expect(spec?.["policyTypes"]).toEqual(["Ingress", "Egress"]);
  const egress = spec?.["egress"] as readonly { ports: readonly { port: number }[]; to?: unknown }[];
  return egress.filter(({ to }) => to === undefined).flatMap((rule) => rule.ports.map(({ port }) => port));
}

describe("what watches it", () => {
  test("counts on Prometheus finding daemon and workers", async () => {
    const objects = await render(valuesOf("production"));
    expect(only(objects, "ServiceMonitor").spec).toMatchObject({
      selector: {
        matchExpressions: [
          { key: "app.kubernetes.io/component", operator: "In", values: ["daemon", "worker"] },
        ],
      },
      endpoints: [{ port: "http", path: "/metrics" }],
    });
    for (const component of ["daemon", "worker"]) {
      const service = objects.find(
        ({ kind, metadata }) =>
          kind === "Service" && metadata.labels?.["app.kubernetes.io/component"] === component,
      );
      expect(service?.spec).toMatchObject({ ports: [{ name: "http" }] });
      const pod = podsOf(objects).find(
        ({ metadata }) => metadata.labels["app.kubernetes.io/component"] === component,
      );
      expect(pod?.metadata.labels).toMatchObject(service?.spec?.["selector"] as Json);
    }
  });

  test("alerts of what is late, failing, missed, quarantined, away and down", async () => {
    const { spec } = only(await render(valuesOf("production")), "PrometheusRule");
    const { groups: [group] = [] } = spec as {
      readonly groups?: readonly { readonly rules: readonly Json[] }[];
    };
    expect(group?.rules.map(({ alert }) => alert)).toEqual([
      "TagferryMirrorLate",
      "TagferryMirrorFailing",
      "TagferryMirrorMissed",
      "TagferryQuarantined",
      "TagferryConfigurationBroken",
      "TagferryPullsRunOut",
      "TagferryRedisAway",
      "TagferryDown",
    ]);
    for (const { alert, labels, annotations } of group?.rules ?? []) {
      expect(labels, String(alert)).toHaveProperty("severity");
      expect(annotations, String(alert)).toMatchObject({
        summary: expect.any(String),
        description: expect.any(String),
      });
    }
  });

  test("keeps to the doors: Redis is for its own pods, and nobody else's pods reach the page", async () => {
    const objects = await render(valuesOf("production"));
    const own = { "app.kubernetes.io/name": "tagferry", "app.kubernetes.io/instance": "tagferry" };
    expect(only(objects, "NetworkPolicy", "tagferry-redis").spec).toEqual({
      podSelector: { matchLabels: { ...own, "app.kubernetes.io/component": "redis" } },
      policyTypes: ["Ingress", "Egress"],
      ingress: [
        {
          from: [
            {
              podSelector: {
                matchLabels: own,
                matchExpressions: [
                  { key: "app.kubernetes.io/component", operator: "In", values: ["daemon", "worker"] },
                ],
              },
            },
          ],
          ports: [{ port: 6379 }],
        },
      ],
      egress: [],
    });
    const { spec } = only(objects, "NetworkPolicy", "tagferry");
    expect(JSON.stringify(spec?.["ingress"])).not.toContain('"podSelector":{}');
    expect(spec?.["policyTypes"]).toEqual(["Ingress", "Egress"]);
  });

  test("closes the doors by default, and leaves open what the pods need", async () => {
    const least = [53, 53, 5353, 5353, 443, 5000, 6443];
    expect(await portsOut({})).toEqual(least);
    const config = {
      version: 1,
      registries: { "harbor.example.com:8443": { kind: "harbor" }, "plain.example.com": { plainHttp: true } },
      mirrors: [
        { source: "harbor.example.com:8443/a/b", target: "imagestream:web/b" },
        { name: "c", source: "quay.io/a/c", target: "other.example.com:5443/a/c" },
        { name: "oci", source: "oci:/srv/a:1", target: "imagestream:web/d" },
      ],
    };
    const env = [{ name: "HTTPS_PROXY", value: "http://user@proxy.example.com:3128" }];
    const redis = { url: "rediss://user@redis.example.com:6380/2" };
    expect((await portsOut({ config, env, redis })).toSorted((one, other) => one - other)).toEqual(
      [...least, 80, 3128, 5443, 6380, 8443].toSorted((one, other) => one - other),
    );
  });
});
