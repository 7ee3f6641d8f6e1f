import { z } from "zod";

import type { ErrorCode } from "../errors/codes.ts";
import { type Failure, failureOf, isTagferryError, TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import { printable } from "../lib/error.ts";
import type { Digest } from "../oci/digest.ts";
import { apiStatusOf, parseAnswer } from "./answer.ts";
import type { Cluster } from "./cluster.ts";
import type { StreamName } from "./image-stream.ts";

/** One tag of an import. */
export type ImportTag = {
  readonly tag: string;
  /** Fully qualified, with digest: `docker.io/library/nginx@sha256:…`. The stream stores this text unchanged. */
  readonly from: string;
  /** The digest that the import must return. */
  readonly digest: Digest;
  readonly referencePolicy: "Source" | "Local";
  /** The cluster may use HTTP or an untrusted certificate for this registry. */
  readonly insecure: boolean;
};

/** The API server fetches the manifests, the configs and all children, about two per second. */
const IMPORT_TIMEOUT_MS = 15 * 60_000;
const CONFLICTS_MAX = 5;

/**
 * Imports tags in one ImageStreamImport. The status 201 does not mean success: each image has its own status, in the
 * order of the request.
 *
 * If the API server cannot store one image, it refuses the whole request (422). Then the request is split, so that only
 * this image fails. At most two requests per tag are sent.
 *
 * @see openshift/api image/v1 ImageStreamImport
 */
export async function importImages(
  cluster: Cluster,
  stream: StreamName,
  tags: readonly ImportTag[],
  options: Cancellable,
): Promise<ReadonlyMap<string, Failure>> {
  try {
    return await importTogether(cluster, stream, tags, options);
  } catch (error) {
    if (!isTagferryError(error, "STREAM_IMPORT")) throw error;
    if (tags.length < 2 || error.details["all"] === true)
      return new Map(tags.map(({ tag }) => [tag, failureOf(error)]));
    const middle = Math.ceil(tags.length / 2);
    const first = await importImages(cluster, stream, tags.slice(0, middle), options);
    const second = await importImages(cluster, stream, tags.slice(middle), options);
    return new Map([...first, ...second]);
  }
}

async function importTogether(
  cluster: Cluster,
  stream: StreamName,
  tags: readonly ImportTag[],
  options: Cancellable,
): Promise<ReadonlyMap<string, Failure>> {
  const { namespace, name } = stream;
  const body = {
    apiVersion: "image.openshift.io/v1",
    kind: "ImageStreamImport",
    metadata: { name, namespace },
    spec: {
      import: true,
      images: tags.map(({ tag, from, referencePolicy, insecure }) => ({
        from: { kind: "DockerImage", name: from },
        to: { name: tag },
        // Legacy would replace the index by one of its children, which is a different image
        importPolicy: { importMode: "PreserveOriginal", ...(insecure ? { insecure } : {}) },
        referencePolicy: { type: referencePolicy },
      })),
    },
    status: {},
  };
  const path = `/apis/image.openshift.io/v1/namespaces/${namespace}/imagestreamimports`;
  const where = `${namespace}/${name}`;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = await cluster.call(
        { method: "POST", path, body, where, timeoutMs: IMPORT_TIMEOUT_MS, expect: [422] },
        options,
      );
      if (answer.status === 422) throw refused(answer.body, where);
      return judge(answer.body, tags, where);
    } catch (error) {
      // the stream changed while the server fetched the images
      if (!isTagferryError(error, "STREAM_CONFLICT") || attempt >= CONFLICTS_MAX) throw error;
    }
  }
}

/**
 * The error for a refused request. Either the list of allowed registries refused it (the message names fields of the
 * request, and all tags are affected), or one image cannot be stored. A retry does not help.
 */
function refused(body: unknown, where: string): TagferryError {
  const { message, reason } = apiStatusOf(body);
  const all = /spec\.(?:images|repository)\b/.test(message);
  return new TagferryError("STREAM_IMPORT", `the cluster refuses the import into ${where}`, {
    where,
    reason,
    found: printable(message, { maxLength: 400 }),
    ...(all ? { all } : {}),
  });
}

const importAnswer = z.object({ status: z.object({ images: z.array(z.unknown()) }) });
/** Each image is read on its own: if one is garbage, only its tag fails. */
const imageImport = z.object({
  status: z.object({
    status: z.string().optional(),
    reason: z.string().default(""),
    message: z.string().default(""),
  }),
  image: z.object({ metadata: z.object({ name: z.string() }) }).nullish(),
});

function judge(body: unknown, tags: readonly ImportTag[], stream: string): ReadonlyMap<string, Failure> {
  const { images } = parseAnswer(importAnswer, body, { what: "an ImageStreamImport", where: stream }).status;
  if (images.length !== tags.length)
    throw new TagferryError(
      "CLUSTER_ANSWER",
      `${stream}: the answer to the import has ${images.length} of ${tags.length} tags`,
      { where: stream },
    );
  return new Map(
    tags.flatMap((tag, position): [string, Failure][] => {
      const failure = failureOfImage(images[position], tag, stream);
      return failure ? [[tag.tag, failure]] : [];
    }),
  );
}

function failureOfImage(body: unknown, wanted: ImportTag, stream: string): Failure | undefined {
  const where = `${stream}:${wanted.tag}`;
  try {
    assertImported(parseAnswer(imageImport, body, { what: "an imported image", where }), wanted, stream);
    return undefined;
  } catch (error) {
    return failureOf(error);
  }
}

function assertImported(
  { status, image }: z.infer<typeof imageImport>,
  { tag, from, digest }: ImportTag,
  stream: string,
): void {
  const where = `${stream}:${tag}`;
  if (status.status !== "Success") {
    const { reason, message } = status;
    const next = adviceFor(reason, message, from, stream);
    throw new TagferryError(codeOf(reason, message), `the cluster could not import ${from} into ${where}`, {
      where,
      reason,
      found: printable(message, { maxLength: 400 }),
      ...(next === undefined ? {} : { next }),
    });
  }
  const found = image?.metadata.name;
  if (found === digest) return;
  throw new TagferryError(
    "STREAM_IMPORT_MOVED",
    `the import of ${from} into ${where} has another digest than the planned one`,
    { where, found: found ?? "none", allowed: digest },
  );
}

function codeOf(reason: string, message: string): ErrorCode {
  // 429 must be a whole word, because digests can contain these digits
  if (/toomanyrequests|too many requests|\b429\b/i.test(message)) return "RATE_LIMITED";
  if (reason === "Forbidden" && /quota|limit/i.test(message)) return "TARGET_QUOTA";
  return "STREAM_IMPORT";
}

/** What the user can do about it. Tagferry never creates the pull secrets of a namespace. */
function adviceFor(reason: string, message: string, from: string, stream: string): string | undefined {
  const host = from.split("/")[0] ?? from;
  const [namespace] = stream.split("/");
  if (reason === "Unauthorized")
    return `Give the namespace a pull secret: oc create secret docker-registry ${host.replaceAll(/[^a-z0-9]+/g, "-")} --docker-server=${host} --docker-username="$USERNAME" --docker-password="$PASSWORD" -n ${namespace}`;
  if (/x509/.test(message))
    return `Add the authority of ${host} to image.config.openshift.io/cluster (additionalTrustedCA).`;
  if (/blocked/.test(message))
    return `The cluster blocks ${host}: see image.config.openshift.io/cluster (registrySources).`;
  return undefined;
}
