import { type Answer, json, refusal, type RegistryRequest } from "../registry/wire.ts";
import { type ClusterUser, mayDo, tokenOf } from "./access.ts";
import type { IntegratedRegistry } from "./registry-blobs.ts";

/** Whoever the token belongs to: sent as Bearer, or as the password of Basic. */
export function userOfRequest(
  { users }: IntegratedRegistry,
  { headers }: RegistryRequest,
): ClusterUser | undefined {
  return users.get(tokenOf(headers.authorization) ?? "");
}

/** Authentication, the two-segment rule, then one access review per right the request needs. */
export function checkAccess(registry: IntegratedRegistry, request: RegistryRequest): Answer | undefined {
  const { headers, kind, repository } = request;
  if (headers.authorization === undefined)
    return unauthorized(`Bearer realm="${registry.scheme}://${headers.host}/openshift/token"`);
  if (kind !== "ping" && repository.split("/").length !== 2) return { status: 400, headers: {} };
  const user = userOfRequest(registry, request);
  const allowed = user && neededRights(request).every((right) => mayDo(user, right));
  return allowed ? undefined : unauthorized('Basic realm=openshift,error="access denied"');
}

function unauthorized(challenge: string): Answer {
  const answer = refusal(401, "UNAUTHORIZED", "authentication required");
  return { ...answer, headers: { ...answer.headers, "www-authenticate": challenge } };
}

function neededRights({ kind, method, repository }: RegistryRequest): Parameters<typeof mayDo>[1][] {
  if (kind === "ping") return [];
  const [namespace = "", name] = repository.split("/");
  const resource = "imagestreams/layers";
  const pull = { verb: "get", resource, namespace, name };
  const push = { verb: "update", resource, namespace, name };
  if (method === "GET" || method === "HEAD") return [pull];
  if (method !== "DELETE") return [pull, push];
  return kind === "upload" ? [push] : [{ verb: "delete", resource: "images", namespace: "" }];
}

/** `/openshift/token`: gives back the very token that came as password; `anonymous` to nobody. */
export function tokenAnswer(registry: IntegratedRegistry, request: RegistryRequest): Answer {
  const scopes = request.parameters.getAll("scope");
  const bad = scopes.find((scope) => !/^repository:[^/:]+\/[^/:]+:[a-z*,]+$/.test(scope));
  if (bad !== undefined) return json(401, { details: `invalid scope ${bad}` });
  if (request.headers.authorization === undefined)
    return json(200, { token: "anonymous", access_token: "anonymous" });
  const user = userOfRequest(registry, request);
  if (!user) return { status: 401, headers: { "www-authenticate": "Basic realm=openshift" } };
  return json(200, { token: user.token, access_token: user.token });
}
