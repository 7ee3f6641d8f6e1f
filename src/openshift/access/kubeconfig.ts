import { readFile } from "node:fs/promises";
import { registerHooks } from "node:module";
import { hostname } from "node:os";
import { dirname, resolve } from "node:path";

import type { KubeConfig } from "@kubernetes/client-node";
import { parse } from "yaml";

import { TagferryError } from "../../errors/error.ts";
import { openExecPlugin } from "./exec-plugin.ts";
import type { FoundAccess } from "./find-access.ts";
import type { KubeAccess, KubeAccessOptions, KubeTls } from "./kube-access-types.ts";
import { tokenFile } from "./token-file.ts";

type Fail = (what: string, cause?: unknown, found?: string) => TagferryError;

/**
 * The access that a kubeconfig describes.
 *
 * @throws {TagferryError} CLUSTER_CONFIG
 */
export async function accessOfKubeconfig(
  { where, files }: Extract<FoundAccess, { readonly kind: "kubeconfig" }>,
  { context, env }: Pick<KubeAccessOptions, "context" | "env">,
): Promise<KubeAccess> {
  const fail: Fail = (what, cause, found) =>
    new TagferryError("CLUSTER_CONFIG", `no way to the cluster: ${what}`, {
      cause,
      where,
      ...(found === undefined ? {} : { found }),
    });
  const { config, fileOfUser } = await readKubeconfig(where, files, fail);
  chooseContext(config, context, fail);
  const cluster = config.getCurrentCluster();
  if (!cluster && config.clusters.length === 0)
    throw fail(`${where} is not a kubeconfig: it names no cluster`, undefined, "no list `clusters`");
  if (!cluster) throw fail(`the kubeconfig ${where} has no current context`);
  const server = URL.parse(cluster.server);
  if (!server) throw fail(`"${cluster.server}" is not the address of a cluster`);
  const proxy = cluster.proxyUrl ? URL.parse(cluster.proxyUrl) : undefined;
  if (proxy === null) throw fail(`"${cluster.proxyUrl}" is not the address of a proxy`);
  const login = openLogin(config, { env, fail, fileOfUser });
  const secured = await login();
  const file = await tokenFileOf(config.getCurrentUser()?.name, fileOfUser);
  const token = file === undefined ? undefined : tokenFile(file);
  return {
    server,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
    installation: hostname(),
    inCluster: false,
    tls: secured.tls,
    ...(proxy ? { proxy } : {}),
    headers: async () => ({
      ...(await login()).headers,
      ...(token ? { authorization: `Bearer ${await token()}` } : {}),
    }),
  };
}

type Read = {
  readonly config: KubeConfig;
  /** The file that defines a user. */
  readonly fileOfUser: (name: string) => string | undefined;
};

/**
 * Merges the files as kubectl does: of two entries with one name the first wins, and the first file with a current
 * context sets it.
 */
async function readKubeconfig(where: string, files: readonly string[], fail: Fail): Promise<Read> {
  const { KubeConfig: Kubeconfig } = await importConfig();
  if (files.length === 0) throw fail(`there is no kubeconfig at ${where}`);
  try {
    const parts = files.map((file) => {
      const part = new Kubeconfig();
      part.loadFromFile(file);
      return part;
    });
    const config = new Kubeconfig();
    config.loadFromOptions({
      clusters: firstOfEachName(parts.flatMap(({ clusters }) => clusters)),
      contexts: firstOfEachName(parts.flatMap(({ contexts }) => contexts)),
      users: firstOfEachName(parts.flatMap(({ users }) => users)),
      currentContext: parts.map(({ currentContext }) => currentContext).find(Boolean),
    });
    const fileOfUser: Read["fileOfUser"] = (name) =>
      files[parts.findIndex(({ users }) => users.some((user) => user.name === name))];
    return { config, fileOfUser };
  } catch (cause) {
    throw fail(`the kubeconfig ${where} cannot be read`, cause, reasonOf(cause));
  }
}

/** Without the lines that the YAML parser quotes: they may contain a token. */
function reasonOf(cause: unknown): string {
  const { code, reason, mark } = (cause ?? {}) as {
    readonly code?: unknown;
    readonly reason?: unknown;
    readonly mark?: { readonly line?: unknown };
  };
  if (typeof code === "string") return code;
  if (typeof reason !== "string") return "it does not have the format of a kubeconfig";
  return typeof mark?.line === "number" ? `line ${mark.line + 1}: ${reason}` : reason;
}

function chooseContext(config: KubeConfig, context: string | undefined, fail: Fail): void {
  if (context === undefined) return;
  const names = config.getContexts().map(({ name }) => name);
  if (!names.includes(context))
    throw fail(`the kubeconfig has no context ${context} (it has: ${names.join(", ")})`);
  config.setCurrentContext(context);
}

/** Providers that kubectl no longer has, and that run a command without a time limit. */
const OLD_PROVIDERS = ["azure", "exec", "gcp"];

/** Logs in as the current user. client-node does it, except for exec plugins: it has no time limit for them. */
function openLogin(
  config: KubeConfig,
  {
    env,
    fail,
    fileOfUser,
  }: Pick<KubeAccessOptions, "env"> & Pick<Read, "fileOfUser"> & { readonly fail: Fail },
): () => Promise<Applied> {
  const { name = "", exec, authProvider } = config.getCurrentUser() ?? {};
  if (OLD_PROVIDERS.includes(authProvider?.name ?? ""))
    throw fail(
      `the auth-provider ${authProvider?.name} of user ${name} is not supported: use an exec plugin`,
    );
  if (exec === undefined || exec === null) return () => applied(config, fail);
  config.users = config.users.map(({ exec: _, ...user }) => user);
  const cluster = config.getCurrentCluster();
  const plugin = openExecPlugin(exec, {
    file: fileOfUser(name) ?? "",
    env,
    cluster: {
      server: cluster?.server,
      "certificate-authority-data": cluster?.caData,
      "insecure-skip-tls-verify": cluster?.skipTLSVerify,
      "tls-server-name": cluster?.tlsServerName,
      "proxy-url": cluster?.proxyUrl,
    },
  });
  return async () => {
    const [{ headers, tls }, credential] = await Promise.all([applied(config, fail), plugin()]);
    const { token, clientCertificateData: cert, clientKeyData: key } = credential;
    return {
      headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      tls: { ...tls, ...(cert === undefined || key === undefined ? {} : { cert, key }) },
    };
  };
}

function firstOfEachName<T extends { readonly name: string }>(all: readonly T[]): T[] {
  return all.filter(({ name }, position) => all.findIndex((one) => one.name === name) === position);
}

/**
 * client-node drops the `tokenFile` of a user. As in client-go, `tokenFile` wins over `token` and is relative to its
 * kubeconfig.
 */
async function tokenFileOf(
  user: string | undefined,
  fileOfUser: Read["fileOfUser"],
): Promise<string | undefined> {
  const file = user === undefined ? undefined : fileOfUser(user);
  if (file === undefined) return undefined;
  const { users } = parse(await readFile(file, "utf8")) as { users?: readonly NamedUser[] | null };
  const path = users?.find(({ name }) => name === user)?.user?.tokenFile;
  return path === undefined || path === "" ? undefined : resolve(dirname(file), path);
}

type NamedUser = { readonly name: string; readonly user?: { readonly tokenFile?: string } | null };

type Applied = { readonly headers: Record<string, string>; readonly tls: KubeTls };

/**
 * The options that client-node makes for the current user: it reads token files and decodes certificates.
 */
async function applied(
  config: { applyToHTTPSOptions(options: object): Promise<void> },
  fail: Fail,
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

const NO_MODELS =
  "data:text/javascript,export const createConfiguration = undefined, ServerConfiguration = undefined;";

/**
 * Imports only the part of client-node that reads kubeconfigs. The whole package loads models of the complete API:
 * 2,000 modules, 45 MB and 250 ms, for clients that Tagferry does not use. If a later version has other paths, the
 * whole package is loaded.
 */
async function importConfig(): Promise<{ readonly KubeConfig: typeof KubeConfig }> {
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      specifier.endsWith("/gen/index.js") && context.parentURL?.includes("/client-node/dist/") === true
        ? { url: NO_MODELS, shortCircuit: true }
        : next(specifier, context),
  });
  try {
    return await import("@kubernetes/client-node/dist/config.js");
  } finally {
    hooks.deregister();
  }
}
