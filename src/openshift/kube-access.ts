import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { hostname } from "node:os";

import { SyncError } from "../lib/error.ts";

/** How to reach an API server, and as whom. */
export type KubeAccess = {
  readonly server: URL;
  readonly namespace: string | undefined;
  /** The installation's name when the configuration gives none. */
  readonly installation: string;
  readonly inCluster: boolean;
  readonly tls: KubeTls;
  readonly proxy?: URL;
  /** Asked before each request: tokens are renewed on disk. */
  headers(): Promise<Readonly<Record<string, string>>>;
};

export type KubeTls = {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
};

export type KubeAccessOptions = {
  readonly kubeconfigFile?: string | undefined;
  readonly context?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
};

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The named kubeconfig, else the pod's service account, else the user's kubeconfig.
 *
 * @throws {SyncError} CLUSTER_CONFIG
 */
export async function openKubeAccess(options: KubeAccessOptions): Promise<KubeAccess> {
  const { env } = options;
  const host = env["KUBERNETES_SERVICE_HOST"];
  const inCluster =
    options.kubeconfigFile === undefined &&
    host !== undefined &&
    host !== "" &&
    existsSync(`${SERVICE_ACCOUNT}/token`);
  return inCluster
    ? fromServiceAccount(host, env["KUBERNETES_SERVICE_PORT"] ?? "443")
    : fromKubeconfig(options);
}

/** In a pod. @kubernetes/client-node would cost 60 MB here, for four files. */
async function fromServiceAccount(host: string, port: string): Promise<KubeAccess> {
  const namespace = (await readFile(`${SERVICE_ACCOUNT}/namespace`, "utf8").catch(() => "")).trim();
  const token = rereadFile(`${SERVICE_ACCOUNT}/token`);
  return {
    server: new URL(`https://${host.includes(":") ? `[${host}]` : host}:${port}`),
    namespace: namespace === "" ? undefined : namespace,
    installation: namespace === "" ? hostname() : namespace,
    inCluster: true,
    tls: { ca: await readFile(`${SERVICE_ACCOUNT}/ca.crt`, "utf8") },
    headers: async () => ({ authorization: `Bearer ${(await token()).trim()}` }),
  };
}

/** A file's text, read again when it changed. */
function rereadFile(path: string): () => Promise<string> {
  let kept: { readonly text: string; readonly stamp: string } | undefined;
  return async () => {
    const { mtimeMs, size, ino } = await stat(path);
    const stamp = `${mtimeMs} ${size} ${ino}`;
    if (kept?.stamp !== stamp) kept = { text: await readFile(path, "utf8"), stamp };
    return kept.text;
  };
}

async function fromKubeconfig({ kubeconfigFile, context, env }: KubeAccessOptions): Promise<KubeAccess> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  const where = kubeconfigFile ?? (env["KUBECONFIG"] || `${env["HOME"] ?? "~"}/.kube/config`);
  const fail = (what: string, cause?: unknown): SyncError =>
    new SyncError("CLUSTER_CONFIG", `no way to the cluster: ${what}`, { cause, where });
  const files = where.split(":").filter((file) => file !== "" && existsSync(file));
  if (files.length === 0) throw fail(`there is no kubeconfig at ${where}`);
  try {
    for (const [position, file] of files.entries()) {
      if (position === 0) config.loadFromFile(file);
      else {
        const more = new KubeConfig();
        more.loadFromFile(file);
        config.mergeConfig(more);
      }
    }
  } catch (cause) {
    throw fail(`the kubeconfig ${where} cannot be read`, cause);
  }
  if (context !== undefined) {
    const names = config.getContexts().map(({ name }) => name);
    if (!names.includes(context))
      throw fail(`the kubeconfig has no context ${context} (it has: ${names.join(", ")})`);
    config.setCurrentContext(context);
  }
  const cluster = config.getCurrentCluster();
  if (!cluster) throw fail(`the kubeconfig ${where} has no current context`);
  const server = URL.parse(cluster.server);
  if (!server) throw fail(`"${cluster.server}" is not the address of a cluster`);
  const secured = await applied(config, fail);
  return {
    server,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
    installation: hostname(),
    inCluster: false,
    tls: secured.tls,
    ...(cluster.proxyUrl ? { proxy: new URL(cluster.proxyUrl) } : {}),
    headers: async () => (await applied(config, fail)).headers,
  };
}

type Applied = { readonly headers: Record<string, string>; readonly tls: KubeTls };

/** What client-node makes of the current user: exec plugins run, token files are read, certificates decoded. */
async function applied(
  config: { applyToHTTPSOptions(options: object): Promise<void> },
  fail: (what: string, cause?: unknown) => SyncError,
): Promise<Applied> {
  const options: {
    headers?: Record<string, string>;
    ca?: unknown;
    cert?: unknown;
    key?: unknown;
    servername?: string;
    rejectUnauthorized?: boolean;
    auth?: string;
  } = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (cause) {
    throw fail(
      `the user of the kubeconfig cannot log in: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    );
  }
  const headers = Object.fromEntries(
    Object.entries(options.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
  );
  if (options.auth !== undefined)
    headers["authorization"] = `Basic ${Buffer.from(options.auth).toString("base64")}`;
  return {
    headers,
    tls: {
      ...textOf("ca", options.ca),
      ...textOf("cert", options.cert),
      ...textOf("key", options.key),
      ...(options.servername === undefined ? {} : { servername: options.servername }),
      ...(options.rejectUnauthorized === undefined ? {} : { rejectUnauthorized: options.rejectUnauthorized }),
    },
  };
}

function textOf<K extends "ca" | "cert" | "key">(name: K, value: unknown): { readonly [name in K]?: string } {
  if (typeof value === "string") return { [name]: value } as { readonly [name in K]: string };
  return Buffer.isBuffer(value)
    ? ({ [name]: value.toString("utf8") } as { readonly [name in K]: string })
    : {};
}
