import { isDeepStrictEqual } from "node:util";

import { type ApiCall, type ApiReply, checkName, listOf, may, ok, success } from "./call.ts";
import { alreadyExists, badRequest, conflict, invalid, methodNotSupported, notFound } from "./failure.ts";
import { layersOf } from "./layers.ts";
import { IMAGE_API, type ImageStream, type KubeObject } from "./objects.ts";
import { applyPatch } from "./patch.ts";
import {
  commitStream,
  contextOf,
  enforceLimits,
  findStream,
  getStream,
  listStreams,
  removeStream,
} from "./state.ts";
import { normalise, plain, type StreamContext } from "./stream-shape.ts";
import { prepareCreate, prepareUpdate } from "./streams.ts";
import { watchStreams } from "./watch.ts";

/** `imagestreams`, its status, and the virtual views `layers` and `secrets`. */
export function handleStreams(call: ApiCall): ApiReply {
  switch (call.subresource) {
    case "":
      return handleStream(call);
    case "status":
      return handleStatus(call);
    case "layers":
      if (call.verb !== "get") throw methodNotSupported("imagestreams", call.verb);
      return ok(layersOf(call.state, getStream(call.state, call.namespace, call.name)));
    case "secrets":
      if (call.verb !== "get") throw methodNotSupported("imagestreams", call.verb);
      return ok(secretsOf(call));
    default:
      throw notFound("imagestreams", `${call.name}/${call.subresource}`);
  }
}

function handleStream(call: ApiCall): ApiReply {
  const { state, namespace, name, verb } = call;
  switch (verb) {
    case "get":
      return ok(getStream(state, namespace, name));
    case "list": {
      const streams = listStreams(state, namespace === "" ? undefined : namespace);
      return ok(listOf(call, IMAGE_API, "ImageStreamList", streams));
    }
    case "watch":
      return watchStreams(call);
    case "create":
      return ok(createStream(call, call.body), 201);
    case "update":
      return ok(replaceStream(call));
    case "patch":
      return ok(patchStream(call));
    case "delete": {
      const { metadata } = removeStream(state, namespace, name);
      const details = { name, group: "image.openshift.io", kind: "imagestreams", uid: metadata.uid };
      return ok({ ...success(), details });
    }
    case "deletecollection":
      for (const { metadata } of listStreams(state, namespace)) removeStream(state, namespace, metadata.name);
      return ok(success());
  }
}

/** What the writer's rights decide when a tag names another stream. */
export function contextFor(call: ApiCall): StreamContext {
  return contextOf(call.state, (namespace) => may(call, "get", "imagestreams/layers", namespace));
}

export function createStream(call: ApiCall, body: unknown): ImageStream {
  const { state, namespace, manager } = call;
  const sent = normalise(body, namespace, contextFor(call));
  const { name } = sent.metadata;
  if (findStream(state, namespace, name)) throw alreadyExists("imagestreams", name);
  const made = prepareCreate(sent, contextFor(call));
  enforceLimits(state, made, true);
  return commitStream(state, made, manager);
}

function replaceStream(call: ApiCall): ImageStream {
  const { state, namespace, name, body } = call;
  const old = getStream(state, namespace, name);
  const sent = normalise(body, namespace, contextFor(call));
  checkName("ImageStream", sent, name, "image.openshift.io");
  if (!sent.metadata.resourceVersion)
    throw invalid("imagestreams", name, [
      {
        field: "metadata.resourceVersion",
        reason: "FieldValueInvalid",
        message: "Invalid value: 0x0: must be specified for an update",
      },
    ]);
  return writeStream(call, sent, old, { keepStatus: true, manager: call.manager });
}

function patchStream(call: ApiCall): ImageStream {
  const { state, namespace, name, contentType, body } = call;
  const old = getStream(state, namespace, name);
  const patched = applyPatch(plain(old), contentType, body);
  const sent = normalise(patched, namespace, contextFor(call));
  checkName("ImageStream", sent, name, "image.openshift.io");
  return writeStream(call, sent, old, { keepStatus: true, manager: call.manager });
}

/** The last steps of every plain write: check the version, validate, skip a write without changes, store. */
export function writeStream(
  call: ApiCall,
  sent: ImageStream,
  old: ImageStream,
  { keepStatus, manager }: { readonly keepStatus: boolean; readonly manager: string | undefined },
): ImageStream {
  const { name, resourceVersion, uid } = sent.metadata;
  if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion)
    throw conflict("imagestreams", name);
  if (uid !== undefined && uid !== old.metadata.uid)
    throw conflict(
      "imagestreams",
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
    );
  const made = prepareUpdate(sent, old, contextFor(call), { keepStatus });
  made.metadata.uid = old.metadata.uid ?? "";
  made.metadata.creationTimestamp = old.metadata.creationTimestamp ?? "";
  if (isDeepStrictEqual(essence(made), essence(old))) return old;
  enforceLimits(call.state, made, false);
  return commitStream(call.state, made, manager);
}

function essence({
  metadata: { managedFields: _, resourceVersion: __, ...metadata },
  spec,
  status,
}: ImageStream): unknown {
  return plain({ metadata, spec, tags: status.tags });
}

function handleStatus(call: ApiCall): ApiReply {
  const { state, namespace, name, verb, body, contentType } = call;
  const old = getStream(state, namespace, name);
  if (verb === "get") return ok(old);
  if (verb !== "update" && verb !== "patch") throw methodNotSupported("imagestreams", verb);
  const changed = verb === "patch" ? applyPatch(plain(old), contentType, body) : body;
  const sent = normalise(changed, namespace, contextFor(call));
  if (sent.metadata.resourceVersion !== old.metadata.resourceVersion) throw conflict("imagestreams", name);
  return ok(commitStream(state, { ...old, status: sent.status }, call.manager));
}

/** Every pull secret of the namespace. The name of the stream is ignored. */
function secretsOf({ state, namespace }: ApiCall): unknown {
  const secrets = [...(state.objects.get("/secrets")?.values() ?? [])].filter(
    ({ metadata, type }: KubeObject) =>
      metadata.namespace === namespace &&
      ["kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson"].includes(String(type)) &&
      metadata.annotations?.["openshift.io/image.excludeSecret"] !== "true",
  );
  return { kind: "SecretList", apiVersion: "v1", metadata: {}, items: secrets };
}

/** @throws {ApiFailure} 400 where `name` has no tag */
export function splitTagName(resource: string, name: string): [string, string] {
  const [stream = "", tag = "", ...rest] = name.split(":");
  if (stream === "" || tag === "" || rest.length > 0)
    throw badRequest(`${resource} must be retrieved with <name>:<tag>`);
  return [stream, tag];
}
