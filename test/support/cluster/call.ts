import type { Answer } from "../registry/wire.ts";
import { type ClusterUser, mayDo } from "./access.ts";
import { badRequest, forbidden, invalid } from "./failure.ts";
import type { KubeObject, Status } from "./objects.ts";
import type { ClusterState } from "./state.ts";
import { plain } from "./stream-shape.ts";
import type { UpstreamOptions } from "./upstream.ts";

export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete" | "deletecollection";

/** One request to a resource, after authentication and RBAC. */
export type ApiCall = {
  readonly state: ClusterState;
  readonly upstream: UpstreamOptions;
  readonly user: ClusterUser;
  readonly verb: Verb;
  readonly group: string;
  readonly version: string;
  /** Empty for cluster-scoped resources and for lists over all namespaces. */
  readonly namespace: string;
  readonly resource: string;
  readonly name: string;
  readonly subresource: string;
  readonly parameters: URLSearchParams;
  readonly contentType: string;
  /** undefined: none was sent */
  readonly body: unknown;
  /** Who the client says it is, for managedFields. */
  readonly manager: string;
};

export type ApiReply = { readonly status: number; readonly body: unknown } | Answer;

export function ok(body: unknown, status = 200): ApiReply {
  return { status, body };
}

export function success(code?: number): Status {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    ...(code === undefined ? {} : { code }),
  };
}

export function may(
  { user, namespace }: ApiCall,
  verb: string,
  resource: string,
  where = namespace,
): boolean {
  return mayDo(user, { verb, resource, namespace: where });
}

/** The words of RBAC, which a client shows to a person. */
export function denied({ user, verb, group, namespace, resource, name, subresource }: ApiCall): Error {
  const full = subresource === "" ? resource : `${resource}/${subresource}`;
  const scope = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`;
  const why = `User "${user.name}" cannot ${verb} resource "${full}" in API group "${group}" ${scope}`;
  return forbidden(resource, name, why, group);
}

/** A list, narrowed by the selectors and cut into pages as the client asked. */
export function listOf(call: ApiCall, apiVersion: string, kind: string, all: readonly unknown[]): unknown {
  const { parameters, state } = call;
  const items = (plain(all) as KubeObject[]).filter((item) => selected(item, parameters));
  const from = Number(Buffer.from(parameters.get("continue") ?? "", "base64").toString() || 0);
  if (!Number.isSafeInteger(from)) throw badRequest("continue key is not valid"); // 56aa2d96
  const limit = Number(parameters.get("limit") ?? 0);
  const end = limit > 0 ? from + limit : items.length;
  const more = end < items.length;
  return {
    kind,
    apiVersion,
    metadata: {
      resourceVersion: String(state.resourceVersion),
      ...(more
        ? { continue: Buffer.from(String(end)).toString("base64"), remainingItemCount: items.length - end }
        : {}),
    },
    items: items.slice(from, end),
  };
}

/** Label and field selectors: `a=b`, `a==b`, `a!=b`, `a`, `!a`, joined by commas. */
export function selected(item: KubeObject, parameters: URLSearchParams): boolean {
  const { labels = {} } = item.metadata;
  return (
    terms(parameters.get("labelSelector")).every((term) => holds(term, (key) => labels[key])) &&
    terms(parameters.get("fieldSelector")).every((term) => holds(term, (path) => fieldOf(item, path)))
  );
}

function terms(selector: string | null): string[] {
  return (selector ?? "").split(",").filter((term) => term !== "");
}

function holds(term: string, valueOf: (key: string) => string | undefined): boolean {
  const comparison = /^(?<key>[^!=]+)(?<sign>!=|==?)(?<value>.*)$/.exec(term)?.groups;
  if (!comparison)
    return term.startsWith("!") ? valueOf(term.slice(1)) === undefined : valueOf(term) !== undefined;
  const same = (valueOf(comparison["key"] ?? "") ?? "") === comparison["value"];
  return comparison["sign"] === "!=" ? !same : same;
}

function fieldOf(item: unknown, path: string): string | undefined {
  let value: unknown = item;
  for (const key of path.split("."))
    value = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  return typeof value === "string" ? value : undefined;
}

/** @throws {ApiFailure} 422 where the object in the body has another name than the path */
export function checkName(kind: string, sent: unknown, name: string, group: string): void {
  const given = (sent as KubeObject | undefined)?.metadata?.name;
  if (given === name) return;
  throw invalid(
    kind,
    name,
    [
      {
        field: "metadata.name",
        reason: "FieldValueInvalid",
        message: `Invalid value: "${given}": does not match the name on the URL (${name})`,
      },
    ],
    group,
  );
}
