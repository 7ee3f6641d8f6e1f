import { type ApiCall, type ApiReply, listOf, may, ok, success } from "./call.ts";
import { badRequest, conflict, methodNotSupported, notFound } from "./failure.ts";
import { createImage, imageBytes } from "./images.ts";
import { parseImport, runImport } from "./import.ts";
import { IMAGE_API, type ImageObject, MANAGED_ANNOTATION } from "./objects.ts";
import {
  type ClusterState,
  commitStream,
  enforceImageSize,
  enforceLimits,
  getStream,
  isReferenced,
} from "./state.ts";
import { handleStreams } from "./stream-api.ts";
import { addEvent, compare, trackTag } from "./stream-events.ts";
import { handleTags } from "./tag-api.ts";

/** Every resource of image.openshift.io/v1. */
export async function handleImageApi(call: ApiCall): Promise<ApiReply> {
  switch (call.resource) {
    case "imagestreams":
      return handleStreams(call);
    case "imagestreamtags":
      return handleTags(call, "ImageStreamTag");
    case "imagetags":
      return handleTags(call, "ImageTag");
    case "imagestreamimages":
      if (call.verb !== "get") throw methodNotSupported(call.resource, call.verb);
      return ok(streamImage(call));
    case "imagestreamimports":
      if (call.verb !== "create") throw methodNotSupported(call.resource, call.verb);
      return ok(await importImages(call), 201);
    case "imagestreammappings":
      if (call.verb !== "create") throw methodNotSupported(call.resource, call.verb);
      return ok(mapSent(call), 201);
    case "images":
      return handleImages(call);
    default:
      throw notFound(call.resource, call.name);
  }
}

async function importImages(call: ApiCall): Promise<unknown> {
  const sent = parseImport(call.body);
  // The resource is misspelt in the server, too: that is what it asks about.
  const mayBypassWhitelist = may(call, "create", "images", "") || may(call, "create", "imagestreammapping");
  return runImport(call.state, sent, call.namespace, call.upstream, { mayBypassWhitelist });
}

/** A stream's image by digest, or by a prefix of it; children of an index resolve too. */
function streamImage({ state, namespace, name }: ApiCall): unknown {
  const [streamName = "", id = "", ...rest] = name.split("@");
  if (streamName === "" || id === "" || rest.length > 0)
    throw badRequest("ImageStreamImages must be retrieved with <name>@<id>");
  const stream = getStream(state, namespace, streamName, "imagestreamimages");
  const digests = (stream.status.tags ?? []).flatMap(({ items }) => items ?? []).map(({ image }) => image);
  const children = digests.flatMap((digest) =>
    (state.images.get(digest)?.dockerImageManifests ?? []).map((child) => child.digest as string),
  );
  const fits = (digest: string): boolean => digest.startsWith(id) || digest.startsWith(`sha256:${id}`);
  const image = state.images.get([...digests, ...children].find(fits) ?? "");
  if (!image) throw notFound("imagestreamimages", name);
  return {
    kind: "ImageStreamImage",
    apiVersion: IMAGE_API,
    metadata: { ...stream.metadata, name: `${streamName}@${image.metadata.name}` },
    image,
  };
}

type SentMapping = { metadata?: { name?: string }; tag?: string; image?: ImageObject };

function mapSent({ state, namespace, body }: ApiCall): unknown {
  const { metadata, tag, image } = (body ?? {}) as SentMapping;
  if (!image?.metadata?.name || !metadata?.name || !tag)
    throw badRequest("an ImageStreamMapping needs metadata.name, tag and image");
  mapImage(state, { namespace, name: metadata.name, tag, image });
  return success(201);
}

/**
 * What an ImageStreamMapping does: the Image, then the event on the stream. The spec is never touched.
 *
 * @throws {ApiFailure} 404 for a missing stream, named by the mapping's resource: the registry makes the stream then
 */
export function mapImage(
  state: ClusterState,
  { namespace, name, tag, image }: { namespace: string; name: string; tag: string; image: ImageObject },
): void {
  const stream = getStream(state, namespace, name, "imagestreammappings");
  enforceImageSize(state, namespace, image.metadata.name, imageBytes(state, image));
  const digest = image.metadata.name;
  const existed = createImage(state, image);
  const managed = image.metadata.annotations?.[MANAGED_ANNOTATION] === "true";
  const local = `${stream.status.dockerImageRepository}@${digest}`;
  const dockerImageReference = existed && managed ? local : image.dockerImageReference || local;
  const generation = stream.metadata.generation ?? 1;
  if (!addEvent(stream, tag, { dockerImageReference, image: digest, generation })) return;
  trackTag(stream, tag);
  enforceLimits(state, stream, false);
  commitStream(state, stream);
}

function handleImages(call: ApiCall): ApiReply {
  const { state, verb, name, body } = call;
  const image = state.images.get(name);
  switch (verb) {
    case "get":
      if (!image) throw notFound("images", name);
      return ok(image);
    case "list": {
      const images = [...state.images].toSorted(([a], [b]) => compare(a, b)).map(([, each]) => each);
      return ok(listOf(call, IMAGE_API, "ImageList", images));
    }
    case "create": {
      const sent = body as ImageObject;
      if (createImage(state, sent)) throw conflict("images", sent.metadata.name, "already exists");
      return ok(state.images.get(sent.metadata.name), 201);
    }
    case "delete":
      if (!state.images.delete(name)) throw notFound("images", name);
      return ok(success());
    case "update":
    case "patch":
    case "watch":
    case "deletecollection":
      throw methodNotSupported("images", verb);
  }
}

/** What the registry does for `DELETE manifests`: only where no stream names the image any more. */
export function removeImage(state: ClusterState, digest: string): "removed" | "referenced" | "unknown" {
  if (isReferenced(state, digest)) return "referenced";
  return state.images.delete(digest) ? "removed" : "unknown";
}
