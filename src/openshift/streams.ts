import { type Failure, failureOf, isTagferryError, TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import { limit, type Limit } from "../lib/limit.ts";
import type { Log } from "../lib/log.ts";
import type { Cluster } from "./cluster.ts";
import { recordEvent } from "./events.ts";
import { parseImageStream } from "./image-stream-schema.ts";
import { formatStream, type ImageStream, type StreamName } from "./image-stream.ts";
import { importImages, type ImportTag } from "./import.ts";
import { readOwnership } from "./ownership.ts";
import { registryHostOf } from "./registry-host.ts";
import {
  type Claim,
  claimPatch,
  isOurs,
  missingPatch,
  notOurs,
  type Published,
  publishedPatch,
  removedPatch,
  type StreamPatch,
} from "./stream-changes.ts";
import { type StreamNews, watchStreams } from "./watch.ts";

type TagFailures = ReadonlyMap<string, Failure>;
type OfMirror = Cancellable & { readonly mirror: string };

/** Reads and changes image streams. Every write is a compare-and-swap, and is sent only when something changes. */
export type Streams = {
  /** The name of this installation in the ownership annotation. */
  readonly installation: string;
  get(stream: StreamName, options?: Cancellable): Promise<ImageStream | undefined>;
  /** All streams of a namespace, then every change. @throws {TagferryError} CLUSTER_*: start a new watch */
  watch(namespace: string, options?: Cancellable): AsyncIterable<StreamNews>;
  /**
   * Returns the stream, and creates it if it does not exist. @throws {TagferryError} STREAM_NAMESPACE, CLUSTER_DENIED,
   * TARGET_QUOTA
   */
  ensure(stream: StreamName, options?: Cancellable): Promise<ImageStream>;
  /** The host of the integrated registry as seen from here. @throws {TagferryError} CLUSTER_REGISTRY */
  registryHost(stream: StreamName, options?: Cancellable): Promise<string>;
  /** The password for the integrated registry. @throws {TagferryError} CLUSTER_TOKEN */
  registryToken(options?: Cancellable): Promise<string>;
  /** Claims tags for this mirror. Tags of another owner fail with STREAM_OWNED and stay as they are. */
  claim(stream: StreamName, claims: readonly Claim[], options?: Cancellable): Promise<TagFailures>;
  /** Records what was published, and removes the spec tags of the takeovers that this finishes. */
  recordPublished(stream: StreamName, published: readonly Published[], options?: Cancellable): Promise<void>;
  /** Records since when tags are missing at the source; undefined: the tag is back. */
  recordMissing(
    stream: StreamName,
    missing: readonly { readonly tag: string; readonly missingSince?: string | undefined }[],
    options: OfMirror,
  ): Promise<void>;
  /** Imports all these tags with one request. */
  importTags(stream: StreamName, tags: readonly ImportTag[], options?: Cancellable): Promise<TagFailures>;
  /** Removes tags that this mirror owns. Other tags fail with STREAM_OWNED. */
  removeTags(stream: StreamName, tags: readonly string[], options: OfMirror): Promise<TagFailures>;
  /** Records an Event on the stream for its users. Never throws. */
  event(
    stream: StreamName,
    about: { readonly tag: string; readonly mirror: string; readonly failure: Failure },
    options?: Cancellable,
  ): Promise<void>;
};

export type StreamsOptions = {
  readonly registry?: string | undefined;
  readonly owner?: string | undefined;
  readonly log: Log;
};

const GROUP = "/apis/image.openshift.io/v1";
const CONFLICTS_MAX = 8;
/**
 * The API server records field managers only for streams that were created with an annotation or a label. Seen in
 * 56aa2d96.
 */
const MADE_BY_US = { "tagferry.io/created-by": "tagferry" };

export function openStreams(cluster: Cluster, { registry, owner, log }: StreamsOptions): Streams {
  const installation = owner ?? cluster.access.installation;
  const lines = new Map<string, Limit>();

  /** Writes to one stream run one after the other. Otherwise they would conflict with each other. */
  function inLine<T>(stream: StreamName, task: () => Promise<T>, options: Cancellable): Promise<T> {
    const name = formatStream(stream);
    const line = lines.get(name) ?? limit(1);
    lines.set(name, line);
    return line(task, options);
  }

  async function get(stream: StreamName, options: Cancellable = {}): Promise<ImageStream | undefined> {
    const answer = await cluster.call(
      { method: "GET", path: pathOf(stream), where: formatStream(stream), expect: [404] },
      options,
    );
    return answer.status === 404 ? undefined : parseImageStream(answer.body, formatStream(stream));
  }

  async function ensure(stream: StreamName, options: Cancellable = {}): Promise<ImageStream> {
    const existing = await get(stream, options);
    if (existing) return existing;
    const body = {
      apiVersion: "image.openshift.io/v1",
      kind: "ImageStream",
      metadata: { name: stream.name, namespace: stream.namespace, annotations: MADE_BY_US },
    };
    try {
      const path = `${GROUP}/namespaces/${stream.namespace}/imagestreams`;
      const answer = await cluster.call({ method: "POST", path, body, where: formatStream(stream) }, options);
      return parseImageStream(answer.body, formatStream(stream));
    } catch (error) {
      // another client created it first
      const made = isTagferryError(error, "STREAM_CONFLICT") ? await get(stream, options) : undefined;
      if (made) return made;
      throw error;
    }
  }

  /**
   * Reads, decides, writes. After a conflict it reads and decides again. `decide` returns the patch, or undefined when
   * there is nothing to write. Without `create`, a stream that does not exist is left alone.
   */
  async function change(
    stream: StreamName,
    decide: (current: ImageStream) => StreamPatch | undefined,
    { create = false, ...options }: Cancellable & { readonly create?: boolean },
  ): Promise<void> {
    await inLine(
      stream,
      async () => {
        for (let attempt = 1; ; attempt += 1) {
          const current = await (create ? ensure : get)(stream, options);
          const patch = current && decide(current);
          if (!patch) return;
          try {
            await cluster.call(
              {
                method: "PATCH",
                path: `${pathOf(stream)}?fieldManager=tagferry`,
                contentType: "application/strategic-merge-patch+json",
                body: {
                  ...patch,
                  metadata: { ...patch.metadata, resourceVersion: current.metadata.resourceVersion },
                },
                where: formatStream(stream),
              },
              options,
            );
            return;
          } catch (error) {
            if (!isTagferryError(error, "STREAM_CONFLICT") || attempt >= CONFLICTS_MAX) throw error;
          }
        }
      },
      options,
    );
  }

  return {
    installation,
    get,
    watch: (namespace, options) => watchStreams(cluster, namespace, options),
    ensure,
    registryHost: async (stream, options) =>
      registry ?? registryHostOf(await ensure(stream, options), cluster.access),
    async registryToken() {
      const token = await cluster.token();
      if (token !== undefined) return token;
      throw new TagferryError(
        "CLUSTER_TOKEN",
        "the kubeconfig has only a client certificate, and the integrated registry needs a token",
      );
    },
    async claim(stream, claims, options = {}) {
      let failures: TagFailures = new Map();
      const decide = (current: ImageStream): StreamPatch | undefined => {
        const claimed = claimPatch(current, claims, installation);
        ({ failures } = claimed);
        return claimed.patch;
      };
      await change(stream, decide, { create: true, ...options });
      return failures;
    },
    async recordPublished(stream, published, options = {}) {
      if (published.length === 0) return;
      const decide = (current: ImageStream): StreamPatch | undefined =>
        publishedPatch(current, published, installation);
      await change(stream, decide, { create: true, ...options });
    },
    recordMissing: (stream, missing, { mirror, ...options }) =>
      change(stream, (current) => missingPatch(current, missing, { mirror, installation }), options),
    importTags: (stream, tags, options = {}) =>
      inLine(stream, () => importImages(cluster, stream, tags, options), options),
    async removeTags(stream, tags, { mirror, ...options }) {
      const failures = new Map<string, Failure>();
      const found = await get(stream, options);
      const owned = found ? readOwnership(found) : undefined;
      const removed: string[] = [];
      for (const tag of tags) {
        if (!isOurs(owned?.get(tag), mirror, installation)) {
          failures.set(tag, failureOf(notOurs(`${formatStream(stream)}:${tag}`, owned?.get(tag))));
          continue;
        }
        try {
          const path = `${GROUP}/namespaces/${stream.namespace}/imagestreamtags/${stream.name}:${tag}`;
          await inLine(
            stream,
            () =>
              cluster.call(
                { method: "DELETE", path, where: `${formatStream(stream)}:${tag}`, expect: [404] },
                options,
              ),
            options,
          );
          removed.push(tag);
        } catch (error) {
          options.signal?.throwIfAborted();
          failures.set(tag, failureOf(error));
        }
      }
      await change(stream, (current) => removedPatch(current, removed), options);
      return failures;
    },
    event: (stream, about, options = {}) =>
      recordEvent(cluster, stream, { ...about, installation, log, get }, options),
  };
}

function pathOf({ namespace, name }: StreamName): string {
  return `${GROUP}/namespaces/${namespace}/imagestreams/${name}`;
}
