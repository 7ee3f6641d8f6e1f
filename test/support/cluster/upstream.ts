import http from "node:http";
import https from "node:https";
import { buffer } from "node:stream/consumers";

import { MANIFEST_ACCEPT } from "../../../src/oci/media-type.ts";
import type { KubeObject } from "./objects.ts";
import { registryOf } from "./stream-rules.ts";

/** How the API server (and the registry's pull-through) reaches other registries. */
export type UpstreamOptions = {
  /** Where a host of an image reference really is: `docker.io` → `http://127.0.0.1:5001`. Counts as trusted. */
  readonly upstreams: ReadonlyMap<string, string>;
  /** PEM: the ConfigMap `image-import-ca`. */
  readonly ca: string | undefined;
  /** `registrySources.insecureRegistries` of image.config. */
  readonly insecureRegistries: readonly string[];
  readonly blockedRegistries: readonly string[];
  /** What `schemeOf` found out: host → base address. */
  readonly found: Map<string, string>;
};

export type UpstreamAccess = {
  /** host of the reference */
  readonly host: string;
  readonly repository: string;
  readonly insecure: boolean;
  readonly credentials: { readonly username: string; readonly password: string } | undefined;
};

export type UpstreamResponse = {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
};

/** The registry uses plain HTTP, but is not configured as insecure. */
export class PlainHttpError extends Error {
  override readonly name = "PlainHttpError";
}

/** Host and repository of a reference, as the server reads it: Docker Hub's short names are widened. */
export function splitReference(reference: string): {
  host: string;
  repository: string;
  tag: string | undefined;
  digest: string | undefined;
} {
  const at = reference.indexOf("@");
  const named = at === -1 ? reference : reference.slice(0, at);
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const path = colon === -1 ? named : named.slice(0, colon);
  const host = registryOf(path);
  const rest = path.startsWith(`${host}/`) ? path.slice(host.length + 1) : path;
  return {
    host,
    repository: host === "docker.io" && !rest.includes("/") ? `library/${rest}` : rest,
    tag: colon === -1 ? undefined : named.slice(colon + 1),
    digest: at === -1 ? undefined : reference.slice(at + 1),
  };
}

/** The first entry of the namespace's pull secrets that fits, host by host or with a path. */
export function findCredentials(
  secrets: Iterable<KubeObject>,
  host: string,
  repository: string,
): UpstreamAccess["credentials"] {
  for (const secret of secrets) {
    for (const [key, entry] of Object.entries(authsOf(secret))) {
      const bare = key.replace(/^https?:\/\//, "").replace(/\/(?:v[12]\/?)?$/, "");
      const known = bare === "index.docker.io" ? "docker.io" : bare;
      if (known !== host && !`${host}/${repository}/`.startsWith(`${known}/`)) continue;
      const text = Buffer.from(entry.auth ?? "", "base64").toString();
      const colon = text.indexOf(":");
      return colon === -1
        ? { username: entry.username ?? "", password: entry.password ?? "" }
        : { username: text.slice(0, colon), password: text.slice(colon + 1) };
    }
  }
  return undefined;
}

type AuthEntry = { auth?: string; username?: string; password?: string };

function authsOf({ type, data }: KubeObject): Record<string, AuthEntry> {
  const values = (data ?? {}) as Record<string, string>;
  const decode = (key: string): unknown =>
    JSON.parse(Buffer.from(values[key] ?? "", "base64").toString() || "{}");
  if (type === "kubernetes.io/dockerconfigjson")
    return (decode(".dockerconfigjson") as { auths?: Record<string, AuthEntry> }).auths ?? {};
  return type === "kubernetes.io/dockercfg" ? (decode(".dockercfg") as Record<string, AuthEntry>) : {};
}

/** One GET or HEAD at a registry, with the token or password it asks for. Throws what the connection throws. */
export async function askUpstream(
  path: string,
  access: UpstreamAccess,
  options: UpstreamOptions,
  method: "GET" | "HEAD" = "GET",
): Promise<UpstreamResponse> {
  const base = options.upstreams.get(access.host) ?? (await schemeOf(access, options));
  const send = (authorization?: string): Promise<UpstreamResponse> =>
    request(`${base}/v2/${access.repository}/${path}`, method, access, options, authorization);
  const first = await send();
  if (first.status !== 401) return first;
  const authorization = await authorizationFor(first, access, options);
  return authorization === undefined ? first : send(authorization);
}

/** HTTPS, unless the registry is known to be insecure and answers only plain HTTP. */
async function schemeOf(access: UpstreamAccess, options: UpstreamOptions): Promise<string> {
  const { host } = access;
  const known = options.found.get(host);
  if (known !== undefined && (known.startsWith("https:") || isInsecure(access, options))) return known;
  // no connection leaves this machine: other hosts do not exist
  if (!/^(?:127\.0\.0\.1|localhost)(?::\d+)?$/.test(host))
    throw new Error(`dial tcp: lookup ${host.split(":")[0]}: no such host`);
  try {
    await request(`https://${host}/v2/`, "GET", access, options);
    options.found.set(host, `https://${host}`);
    return `https://${host}`;
  } catch (error) {
    const plain = error instanceof Error && /wrong version number|ECONNRESET/.test(error.message);
    if (!plain) throw error;
    if (!isInsecure(access, options)) throw new PlainHttpError(host, { cause: error });
    options.found.set(host, `http://${host}`);
    return `http://${host}`;
  }
}

function isInsecure({ host, insecure }: UpstreamAccess, { insecureRegistries }: UpstreamOptions): boolean {
  return insecure || insecureRegistries.includes(host);
}

async function authorizationFor(
  { headers }: UpstreamResponse,
  access: UpstreamAccess,
  options: UpstreamOptions,
): Promise<string | undefined> {
  const challenge = headers["www-authenticate"] ?? "";
  const { credentials } = access;
  const basic =
    credentials &&
    `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64")}`;
  if (/^basic/i.test(challenge)) return basic;
  const field = (name: string): string | undefined =>
    new RegExp(`${name}="([^"]*)"`, "i").exec(challenge)?.[1];
  const realm = field("realm");
  if (!/^bearer/i.test(challenge) || realm === undefined) return undefined;
  const url = new URL(realm);
  for (const name of ["service", "scope"]) {
    const value = field(name);
    if (value !== undefined) url.searchParams.set(name, value);
  }
  const answer = await request(url.href, "GET", access, options, basic);
  if (answer.status !== 200) return undefined;
  const { token, access_token: accessToken } = JSON.parse(answer.body.toString()) as {
    token?: string;
    access_token?: string;
  };
  return `Bearer ${token ?? accessToken}`;
}

async function request(
  url: string,
  method: string,
  access: UpstreamAccess,
  options: UpstreamOptions,
  authorization?: string,
): Promise<UpstreamResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  const headers = {
    accept: MANIFEST_ACCEPT,
    "user-agent": "openshift-apiserver",
    ...(authorization === undefined ? {} : { authorization }),
  };
  const secure = url.startsWith("https:");
  const outgoing = (secure ? https : http).request(url, {
    method,
    headers,
    agent: false,
    timeout: 30_000,
    ...(secure && options.ca !== undefined ? { ca: options.ca } : {}),
    ...(secure ? { rejectUnauthorized: !isInsecure(access, options) } : {}),
  });
  outgoing.on("response", resolve);
  outgoing.on("error", reject);
  outgoing.on("timeout", () => outgoing.destroy(new Error("timeout awaiting response headers")));
  outgoing.end();
  const response = await promise;
  const location = response.headers.location;
  const body = await buffer(response);
  if (location !== undefined && [301, 302, 303, 307, 308].includes(response.statusCode ?? 0))
    return request(new URL(location, url).href, method, access, options);
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}
