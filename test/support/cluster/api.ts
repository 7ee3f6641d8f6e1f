import { type Answer, json, readAll, type RegistryRequest } from "../registry/wire.ts";
import { type ClusterUser, makeUser, mayDo, tokenOf } from "./access.ts";
import { type ApiCall, type ApiReply, denied, type Verb } from "./call.ts";
import { handleCore, handleReview, isKnown } from "./core-api.ts";
import { ApiFailure, badRequest, failureBody, notFound } from "./failure.ts";
import { handleImageApi } from "./image-api.ts";
import { IMAGE_GROUP } from "./objects.ts";
import type { ClusterState } from "./state.ts";
import type { UpstreamOptions } from "./upstream.ts";

export type ApiServer = {
  readonly state: ClusterState;
  readonly upstream: UpstreamOptions;
  /** By token. */
  readonly users: ReadonlyMap<string, ClusterUser>;
};

const ANONYMOUS = makeUser({ name: "system:anonymous", token: "", groups: [], rules: [] });

/** One request to the API server, from socket to answer. Refusals are Status objects. */
export async function handleApi(server: ApiServer, request: RegistryRequest): Promise<Answer> {
  try {
    const reply = await dispatch(server, request);
    return "headers" in reply ? reply : json(reply.status, reply.body);
  } catch (error) {
    // an unknown token: no body and no challenge (56aa2d96)
    if (error instanceof ApiFailure && error.code === 401) return { status: 401, headers: {} };
    if (error instanceof ApiFailure) return json(error.code, failureBody(error));
    throw error;
  }
}

async function dispatch(server: ApiServer, request: RegistryRequest): Promise<ApiReply> {
  const { path } = request;
  if (["/healthz", "/readyz", "/livez"].includes(path))
    return { status: 200, headers: { "content-type": "text/plain" }, body: Buffer.from("ok") };
  if (path === "/version") return json(200, { major: "1", minor: "34", gitVersion: "v1.34.1" });
  const user = userOf(server, request.headers.authorization);
  const call = readCall(server, request, user, await readBody(request));
  if (call.group === "authorization.k8s.io" || call.group === "authentication.k8s.io") {
    if (user === ANONYMOUS) throw unauthorized();
    return handleReview(call);
  }
  authorize(call);
  return call.group === IMAGE_GROUP ? handleImageApi(call) : handleCore(call);
}

function unauthorized(): ApiFailure {
  return new ApiFailure(401, "Unauthorized", "Unauthorized");
}

/** An unknown token is refused. A request without a token is the anonymous user, whom RBAC refuses. */
function userOf({ users }: ApiServer, authorization: string | undefined): ClusterUser {
  if (authorization === undefined) return ANONYMOUS;
  const user = users.get(tokenOf(authorization) ?? "");
  if (!user || !/^bearer /i.test(authorization)) throw unauthorized();
  return user;
}

async function readBody(request: RegistryRequest): Promise<unknown> {
  const bytes = await readAll(request.body);
  if (bytes.length === 0) return undefined;
  try {
    return JSON.parse(bytes.toString()) as unknown;
  } catch {
    throw badRequest("the object provided is unrecognized: it is not JSON");
  }
}

const CORE = /^\/api\/(?<version>v1)(?<rest>\/.*)$/;
const GROUP = /^\/apis\/(?<group>[^/]+)\/(?<version>[^/]+)(?<rest>\/.*)$/;
const NAMESPACED =
  /^\/namespaces\/(?<namespace>[^/]+)\/(?<resource>[^/]+)(?:\/(?<name>[^/]+)(?:\/(?<subresource>.+))?)?$/;
const CLUSTER = /^\/(?<resource>[^/]+)(?:\/(?<name>[^/]+)(?:\/(?<subresource>.+))?)?$/;

function readCall(server: ApiServer, request: RegistryRequest, user: ClusterUser, body: unknown): ApiCall {
  const { method, path, parameters, headers } = request;
  const base = (CORE.exec(path) ?? GROUP.exec(path))?.groups ?? {};
  const rest = base["rest"] ?? "";
  const parts = (NAMESPACED.exec(rest) ?? CLUSTER.exec(rest))?.groups ?? {};
  const name = decodeURIComponent(parts["name"] ?? "");
  const resource = parts["resource"] ?? "";
  const group = base["group"] ?? "";
  if (resource === "") throw notFound("", path, group);
  const watch = ["true", "1"].includes(parameters.get("watch") ?? "");
  return {
    state: server.state,
    upstream: server.upstream,
    user,
    verb: verbOf(method, name, watch),
    group,
    version: base["version"] ?? "",
    namespace: parts["namespace"] ?? "",
    resource,
    name,
    subresource: parts["subresource"] ?? "",
    parameters,
    contentType: headers["content-type"] ?? "",
    body,
    manager:
      parameters.get("fieldManager") ?? (headers["user-agent"] ?? "unknown").split("/")[0] ?? "unknown",
  };
}

function verbOf(method: string, name: string, watch: boolean): Verb {
  switch (method) {
    case "GET":
    case "HEAD":
      return watch ? "watch" : name === "" ? "list" : "get";
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return "patch";
    case "DELETE":
      return name === "" ? "deletecollection" : "delete";
    default:
      throw new ApiFailure(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
      );
  }
}

function authorize(call: ApiCall): void {
  const { state, user, verb, resource, subresource, namespace, group, name } = call;
  const full = subresource === "" ? resource : `${resource}/${subresource}`;
  if (!mayDo(user, { verb, resource: full, namespace, name })) throw denied(call);
  if (group !== IMAGE_GROUP && !isKnown(group, resource)) throw notFound(resource, call.name, group);
  const writes = verb === "create" || verb === "update" || verb === "patch";
  if (writes && namespace !== "" && !state.namespaces.has(namespace))
    throw notFound("namespaces", namespace, "");
}
