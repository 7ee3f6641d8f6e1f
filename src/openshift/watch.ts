import { isTagferryError, TagferryError } from "../errors/error.ts";
import { type Cancellable, sleep } from "../lib/cancel.ts";
import { printable } from "../lib/error.ts";
import { type Cluster, apiStatusOf } from "./cluster.ts";
import { asImageStream, type ImageStream } from "./image-stream.ts";

/** What a watch of the image streams of a namespace tells. */
export type StreamNews =
  /** All there are: at the beginning, and whenever the thread was lost. */
  | { readonly kind: "all"; readonly streams: readonly ImageStream[]; readonly version: string }
  | { readonly kind: "changed"; readonly stream: ImageStream }
  /** `stream` as it was last. */
  | { readonly kind: "gone"; readonly stream: ImageStream };

export type WatchOptions = Cancellable & {
  /** Between two attempts, so that a server that ends each watch at once is not asked without end. */
  readonly pauseMs?: number;
};

/** After so long the server ends the watch: a connection that died unnoticed is noticed then. */
const WATCH_SECONDS = 240;
const SILENCE_MS = (WATCH_SECONDS + 30) * 1000;
const PAGE = 500;

/**
 * The image streams of a namespace, and what becomes of them, for as long as it is read.
 *
 * A watch that ends goes on from the version it had seen; one whose version the server no longer knows (410) begins with
 * all streams again. What breaks twice in a row is the reader's to judge.
 *
 * @throws {TagferryError} CLUSTER_DENIED, CLUSTER_UNREACHABLE, CLUSTER_ANSWER
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
export async function* watchStreams(
  cluster: Cluster,
  namespace: string,
  { signal, pauseMs = 1_000 }: WatchOptions = {},
): AsyncGenerator<StreamNews, never, void> {
  for (;;) {
    const { streams, version } = await list(cluster, namespace, { signal });
    yield { kind: "all", streams, version };
    yield* follow(cluster, namespace, version, { signal, pauseMs });
    await sleep(pauseMs, { signal });
  }
}

type Listed = { readonly streams: readonly ImageStream[]; readonly version: string };

async function list(cluster: Cluster, namespace: string, options: Cancellable): Promise<Listed> {
  const streams: ImageStream[] = [];
  let token = "";
  for (;;) {
    const page = token === "" ? "" : `&continue=${encodeURIComponent(token)}`;
    const path = `${pathOf(namespace)}?limit=${PAGE}${page}`;
    const { body } = await cluster.call({ method: "GET", path, where: namespace }, options);
    const { items, metadata } = (body ?? {}) as {
      readonly items?: readonly unknown[] | null;
      readonly metadata?: { readonly resourceVersion?: unknown; readonly continue?: unknown };
    };
    if (typeof metadata?.resourceVersion !== "string")
      throw new TagferryError("CLUSTER_ANSWER", `${namespace}: the API server did not answer with a list`, {
        where: namespace,
      });
    for (const item of items ?? []) streams.push(asImageStream(item, namespace));
    if (typeof metadata.continue !== "string" || metadata.continue === "")
      return { streams, version: metadata.resourceVersion };
    token = metadata.continue;
  }
}

type WatchEvent = { readonly type?: unknown; readonly object?: unknown };

/** Returns when the server no longer knows the version: then only all streams tell what was missed. */
async function* follow(
  cluster: Cluster,
  namespace: string,
  from: string,
  { signal, pauseMs }: Required<Pick<WatchOptions, "pauseMs">> & Cancellable,
): AsyncGenerator<StreamNews, void, void> {
  let version = from;
  let fruitless = 0;
  for (;;) {
    const before = version;
    try {
      const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${WATCH_SECONDS}&resourceVersion=${version}`;
      const call = { path: `${pathOf(namespace)}?${query}`, where: namespace, timeoutMs: SILENCE_MS };
      for await (const line of cluster.lines(call, { signal })) {
        const { type, object } = line as WatchEvent;
        if (type === "ERROR" && isTooOld(object)) return;
        if (type === "ERROR") throw refused(namespace, object);
        const stream = asImageStream(type === "BOOKMARK" ? named(object) : object, namespace);
        version = stream.metadata.resourceVersion;
        if (type === "ADDED" || type === "MODIFIED") yield { kind: "changed", stream };
        if (type === "DELETED") yield { kind: "gone", stream };
      }
      fruitless = 0; // ended by the server, as it should
    } catch (error) {
      if (isTagferryError(error, "CLUSTER_ANSWER") && error.details["status"] === 410) return;
      fruitless = version === before ? fruitless + 1 : 0;
      if (!isTagferryError(error, "CLUSTER_UNREACHABLE") || fruitless > 1) throw error;
    }
    await sleep(pauseMs, { signal });
  }
}

/** A bookmark has a version and nothing else. */
function named(object: unknown): unknown {
  const { metadata } = (object ?? {}) as { readonly metadata?: object };
  return { metadata: { name: "", ...metadata } };
}

function isTooOld(object: unknown): boolean {
  const { code, reason } = apiStatusOf(object);
  return code === 410 || reason === "Expired" || reason === "Gone";
}

function refused(namespace: string, object: unknown): TagferryError {
  const { message = "" } = apiStatusOf(object);
  return new TagferryError("CLUSTER_UNREACHABLE", `${namespace}: the API server ended the watch`, {
    where: namespace,
    found: printable(message, { maxLength: 200 }),
  });
}

function pathOf(namespace: string): string {
  return `/apis/image.openshift.io/v1/namespaces/${namespace}/imagestreams`;
}
