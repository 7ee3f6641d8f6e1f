import { z } from "zod";

import { isTagferryError, TagferryError } from "../errors/error.ts";
import { type Cancellable, sleep } from "../lib/cancel.ts";
import { printable } from "../lib/error.ts";
import { apiStatusOf, parseAnswer } from "./answer.ts";
import type { Cluster } from "./cluster.ts";
import { parseImageStream } from "./image-stream-schema.ts";
import type { ImageStream } from "./image-stream.ts";

/** What a watch of the image streams of a namespace reports. */
export type StreamNews =
  /** All streams of the namespace: at the start, and whenever changes may have been missed. */
  | { readonly kind: "all"; readonly streams: readonly ImageStream[]; readonly version: string }
  | { readonly kind: "changed"; readonly stream: ImageStream }
  /** `stream`: its last state. */
  | { readonly kind: "gone"; readonly stream: ImageStream };

export type WatchOptions = Cancellable & {
  /** The pause between two attempts, so that a server that ends each watch at once is not flooded with requests. */
  readonly pauseMs?: number;
};

/** The server ends the watch after this time. So a dead connection is noticed. */
const WATCH_SECONDS = 240;
const SILENCE_MS = (WATCH_SECONDS + 30) * 1000;
const PAGE = 500;
/** A list with more pages than this (100,000 streams) does not end. */
const PAGES_MAX = 200;

/** The items are read one by one: the first invalid one ends the reading. */
const listSchema = z.object({
  items: z.array(z.unknown()).nullish(),
  metadata: z.object({ resourceVersion: z.string().min(1), continue: z.string().nullish() }),
});
const eventSchema = z.object({ type: z.string(), object: z.unknown().optional() });
const bookmarkSchema = z.object({ metadata: z.object({ resourceVersion: z.string().min(1) }) });

/**
 * Yields the image streams of a namespace, then their changes, until the caller stops.
 *
 * When a watch ends, the next one continues from the last version seen. If the server no longer knows this version
 * (410), it starts with all streams again. Two failures in a row are thrown to the caller.
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
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const page = token === "" ? "" : `&continue=${encodeURIComponent(token)}`;
    const path = `${pathOf(namespace)}?limit=${PAGE}${page}`;
    const { body } = await cluster.call({ method: "GET", path, where: namespace }, options);
    const { items, metadata } = parseAnswer(listSchema, body, { what: "a list", where: namespace });
    for (const item of items ?? []) streams.push(parseImageStream(item, namespace));
    token = metadata.continue ?? "";
    if (token === "") return { streams, version: metadata.resourceVersion };
  }
  throw new TagferryError("CLUSTER_ANSWER", `${namespace}: the list of image streams does not end`, {
    where: namespace,
    allowed: `${PAGES_MAX} pages`,
  });
}

/**
 * Returns when the server no longer knows the version. Then all streams must be listed again to find missed changes.
 */
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
        const { type, object } = parseAnswer(eventSchema, line, { what: "an event", where: namespace });
        if (type === "ERROR" && isTooOld(object)) return;
        if (type === "ERROR") throw refused(namespace, object);
        if (type === "BOOKMARK") {
          version = versionOf(object, namespace);
          continue;
        }
        const stream = parseImageStream(object, namespace);
        version = stream.metadata.resourceVersion;
        if (type === "ADDED" || type === "MODIFIED") yield { kind: "changed", stream };
        if (type === "DELETED") yield { kind: "gone", stream };
      }
      fruitless = 0; // the server ended the watch, as expected
    } catch (error) {
      if (isTagferryError(error, "CLUSTER_ANSWER") && error.details["status"] === 410) return;
      fruitless = version === before ? fruitless + 1 : 0;
      if (!isTagferryError(error, "CLUSTER_UNREACHABLE") || fruitless > 1) throw error;
    }
    await sleep(pauseMs, { signal });
  }
}

/** A bookmark contains only a version. */
function versionOf(bookmark: unknown, where: string): string {
  return parseAnswer(bookmarkSchema, bookmark, { what: "a bookmark", where }).metadata.resourceVersion;
}

function isTooOld(object: unknown): boolean {
  const { code, reason } = apiStatusOf(object);
  return code === 410 || reason === "Expired" || reason === "Gone";
}

function refused(namespace: string, object: unknown): TagferryError {
  const { message } = apiStatusOf(object);
  return new TagferryError("CLUSTER_UNREACHABLE", `${namespace}: the API server ended the watch`, {
    where: namespace,
    found: printable(message, { maxLength: 200 }),
  });
}

function pathOf(namespace: string): string {
  return `/apis/image.openshift.io/v1/namespaces/${namespace}/imagestreams`;
}
