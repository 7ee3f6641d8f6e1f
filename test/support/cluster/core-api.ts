import { randomUUID } from "node:crypto";

import { mayDo } from "./access.ts";
import { type ApiCall, type ApiReply, checkName, listOf, ok, success } from "./call.ts";
import { alreadyExists, badRequest, conflict, methodNotSupported, notFound } from "./failure.ts";
import { type KubeObject, now } from "./objects.ts";
import { applyPatch } from "./patch.ts";
import { type ClusterState, nextVersion } from "./state.ts";
import { compare } from "./stream-events.ts";

/** The resources that are served besides streams. They are stored unchanged, under the ordinary rules of the API. */
const KINDS: Readonly<Record<string, { readonly kind: string; readonly version: string }>> = {
  "/namespaces": { kind: "Namespace", version: "v1" },
  "/secrets": { kind: "Secret", version: "v1" },
  "/events": { kind: "Event", version: "v1" },
  "/configmaps": { kind: "ConfigMap", version: "v1" },
  "/pods": { kind: "Pod", version: "v1" },
  "/serviceaccounts": { kind: "ServiceAccount", version: "v1" },
  "/limitranges": { kind: "LimitRange", version: "v1" },
  "/resourcequotas": { kind: "ResourceQuota", version: "v1" },
  "apps/deployments": { kind: "Deployment", version: "v1" },
  "apps/statefulsets": { kind: "StatefulSet", version: "v1" },
  "apps/daemonsets": { kind: "DaemonSet", version: "v1" },
  "batch/cronjobs": { kind: "CronJob", version: "v1" },
  "apps.openshift.io/deploymentconfigs": { kind: "DeploymentConfig", version: "v1" },
  "build.openshift.io/buildconfigs": { kind: "BuildConfig", version: "v1" },
  "template.openshift.io/templates": { kind: "Template", version: "v1" },
  "project.openshift.io/projects": { kind: "Project", version: "v1" },
  "config.openshift.io/images": { kind: "Image", version: "v1" },
  "config.openshift.io/imagedigestmirrorsets": { kind: "ImageDigestMirrorSet", version: "v1" },
  "config.openshift.io/imagetagmirrorsets": { kind: "ImageTagMirrorSet", version: "v1" },
  "imageregistry.operator.openshift.io/configs": { kind: "Config", version: "v1" },
  "rbac.authorization.k8s.io/rolebindings": { kind: "RoleBinding", version: "v1" },
  "route.openshift.io/routes": { kind: "Route", version: "v1" },
};

export function isKnown(group: string, resource: string): boolean {
  return KINDS[`${group}/${resource}`] !== undefined;
}

export function tableOf(state: ClusterState, group: string, resource: string): Map<string, KubeObject> {
  const key = `${group}/${resource}`;
  const known = state.objects.get(key);
  if (known) return known;
  const made = new Map<string, KubeObject>();
  state.objects.set(key, made);
  return made;
}

/** Stores an object as if it had been there before. */
export function putObject(
  state: ClusterState,
  group: string,
  resource: string,
  object: KubeObject,
): KubeObject {
  const { metadata } = object;
  const stored: KubeObject = {
    ...structuredClone(object),
    metadata: {
      ...structuredClone(metadata),
      uid: metadata.uid ?? randomUUID(),
      creationTimestamp: metadata.creationTimestamp ?? now(),
      resourceVersion: nextVersion(state),
    },
  };
  tableOf(state, group, resource).set(`${metadata.namespace ?? ""}/${metadata.name}`, stored);
  return stored;
}

export function handleCore(call: ApiCall): ApiReply {
  const { state, group, resource, namespace, name, verb } = call;
  const known = KINDS[`${group}/${resource}`];
  if (!known) throw notFound(resource, name, group);
  const apiVersion = group === "" ? known.version : `${group}/${known.version}`;
  const table = tableOf(state, group, resource);
  const stored = table.get(`${namespace}/${name}`);
  switch (verb) {
    case "get":
      if (!stored) throw notFound(resource, name, group);
      return ok(stored);
    case "list": {
      const all = [...table]
        .filter(([key]) => namespace === "" || key.startsWith(`${namespace}/`))
        .toSorted(([a], [b]) => compare(a, b));
      return ok(
        listOf(
          call,
          apiVersion,
          `${known.kind}List`,
          all.map(([, object]) => object),
        ),
      );
    }
    case "create":
      return ok(create(call, apiVersion, known.kind), 201);
    case "update":
    case "patch":
      return ok(change(call, stored, known.kind));
    case "delete":
      if (!table.delete(`${namespace}/${name}`)) throw notFound(resource, name, group);
      return ok(success());
    case "watch":
    case "deletecollection":
      throw methodNotSupported(resource, verb, group);
  }
}

type SentObject = Partial<KubeObject> & { metadata?: KubeObject["metadata"] & { generateName?: string } };

function create(call: ApiCall, apiVersion: string, kind: string): KubeObject {
  const { state, group, resource, namespace, body } = call;
  const sent = body as SentObject | undefined;
  const metadata = sent?.metadata;
  if (!sent || !metadata) throw badRequest(`the object provided is unrecognized (must be of type ${kind})`);
  const name = metadata.name || `${metadata.generateName ?? ""}${randomUUID().slice(0, 5)}`;
  if (tableOf(state, group, resource).has(`${namespace}/${name}`)) throw alreadyExists(resource, name, group);
  if (resource === "namespaces") state.namespaces.add(name);
  return putObject(state, group, resource, {
    ...sent,
    apiVersion,
    kind,
    metadata: { ...metadata, name, ...(namespace === "" ? {} : { namespace }) },
  });
}

function change(call: ApiCall, stored: KubeObject | undefined, kind: string): KubeObject {
  const { state, group, resource, name, verb, contentType, body } = call;
  if (!stored) throw notFound(resource, name, group);
  const sent = (verb === "patch" ? applyPatch(stored, contentType, body) : body) as KubeObject;
  checkName(kind, sent, name, group);
  const { resourceVersion } = sent.metadata;
  if (resourceVersion && resourceVersion !== stored.metadata.resourceVersion)
    throw conflict(resource, name, undefined, group);
  const { uid, creationTimestamp } = stored.metadata;
  const kept = { ...(uid ? { uid } : {}), ...(creationTimestamp ? { creationTimestamp } : {}) };
  return putObject(state, group, resource, { ...sent, metadata: { ...sent.metadata, ...kept } });
}

type SentReview = {
  spec?: {
    resourceAttributes?: {
      namespace?: string;
      verb?: string;
      resource?: string;
      subresource?: string;
      name?: string;
    };
  };
};

/** `authorization.k8s.io` and `authentication.k8s.io`: who am I, and what may I do. Everyone may ask. */
export function handleReview({ user, body, resource, group, version }: ApiCall): ApiReply {
  const apiVersion = `${group}/${version}`;
  if (resource === "selfsubjectreviews") {
    const userInfo = { username: user.name, uid: `uid-of-${user.name}`, groups: user.groups };
    return ok({ apiVersion, kind: "SelfSubjectReview", metadata: {}, status: { userInfo } }, 201);
  }
  if (resource !== "selfsubjectaccessreviews") throw notFound(resource, "", group);
  const sent = (body ?? {}) as SentReview;
  const {
    namespace = "",
    verb = "",
    resource: asked = "",
    subresource = "",
    name,
  } = sent.spec?.resourceAttributes ?? {};
  const full = subresource === "" ? asked : `${asked}/${subresource}`;
  const allowed = mayDo(user, { verb, resource: full, namespace, name });
  const status = allowed ? { allowed, reason: "RBAC: allowed" } : { allowed };
  return ok({ apiVersion, kind: "SelfSubjectAccessReview", metadata: {}, spec: sent.spec, status }, 201);
}
