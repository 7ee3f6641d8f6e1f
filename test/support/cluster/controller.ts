import { ApiFailure } from "./failure.ts";
import { type ImportSpec } from "./import-fetch.ts";
import { type ImageStreamImport, runImport } from "./import.ts";
import {
  CHECK_ANNOTATION,
  IMAGE_API,
  type ImageStream,
  latestEvent,
  type SpecTag,
  statusTag,
} from "./objects.ts";
import { type ClusterState, findStream, keyOf, listStreams, type WatchEvent } from "./state.ts";
import type { UpstreamOptions } from "./upstream.ts";

/** Imports tags without a request: immediately when a spec tag is new or changed, and periodically with `scheduled`. */
export type ImportController = Disposable & {
  /** Resolves when there is nothing left to import. */
  idle(): Promise<void>;
  /** One period of the scheduled importer, now: one import per stream with scheduled tags. */
  runScheduled(): Promise<void>;
};

export function startImportController(state: ClusterState, upstream: UpstreamOptions): ImportController {
  const running = new Map<string, Promise<void>>();
  const enqueue = ({ type, object }: WatchEvent): void => {
    if (type === "DELETED" || pendingTags(state, object).length === 0) return;
    const { namespace = "", name } = object.metadata;
    const key = keyOf(namespace, name);
    const before = running.get(key) ?? Promise.resolve();
    const work = before.then(() => importPending(state, upstream, namespace, name));
    running.set(key, work);
    void work.finally(() => {
      if (running.get(key) === work) running.delete(key);
    });
  };
  state.listeners.add(enqueue);
  return {
    idle: async () => {
      while (running.size > 0) await Promise.all(running.values());
    },
    runScheduled: async () => {
      for (const stream of listStreams(state)) {
        const due = (stream.spec.tags ?? []).filter((tag) => isDue(stream, tag));
        if (due.length > 0) await importTags(state, upstream, stream, due);
      }
    },
    [Symbol.dispose]: () => {
      state.listeners.delete(enqueue);
    },
  };
}

function isImportable({ from, reference }: SpecTag): boolean {
  return from?.kind === "DockerImage" && !reference;
}

/** A tag with a digest is polled only until the first success. */
function isDue(stream: ImageStream, tag: SpecTag): boolean {
  if (!isImportable(tag) || !tag.importPolicy.scheduled) return false;
  return !tag.from?.name.includes("@") || latestEvent(stream, tag.name) === undefined;
}

function pendingTags({ dormant }: ClusterState, stream: ImageStream): SpecTag[] {
  const key = keyOf(stream.metadata.namespace ?? "", stream.metadata.name);
  const importable = (stream.spec.tags ?? [])
    .filter(isImportable)
    .filter(({ name, generation }) => dormant.get(`${key}:${name}`) !== generation);
  if (stream.metadata.annotations?.[CHECK_ANNOTATION] === undefined) return importable;
  return importable.filter(({ name, generation }) => {
    const entry = statusTag(stream, name);
    const seen = Math.max(entry?.items?.[0]?.generation ?? 0, entry?.conditions?.[0]?.generation ?? 0);
    return (generation ?? 0) > seen;
  });
}

async function importPending(
  state: ClusterState,
  upstream: UpstreamOptions,
  namespace: string,
  name: string,
): Promise<void> {
  const stream = findStream(state, namespace, name);
  const tags = stream ? pendingTags(state, stream) : [];
  if (!stream || tags.length === 0) return;
  const how = await importTags(state, upstream, stream, tags);
  if (how === "conflict") await importPending(state, upstream, namespace, name);
}

/** A failure is final until the stream is written again. A conflict is not final. */
async function importTags(
  state: ClusterState,
  upstream: UpstreamOptions,
  { metadata }: ImageStream,
  tags: readonly SpecTag[],
): Promise<"done" | "conflict" | "failed"> {
  const { namespace = "", name, resourceVersion = "" } = metadata;
  const images = tags.map(({ name: tag, from, importPolicy, referencePolicy }): ImportSpec => {
    return {
      from: { kind: "DockerImage", name: from?.name ?? "" },
      to: { name: tag },
      importPolicy,
      referencePolicy,
    };
  });
  const sent: ImageStreamImport = {
    apiVersion: IMAGE_API,
    kind: "ImageStreamImport",
    metadata: { name, namespace, resourceVersion },
    spec: { import: true, images },
  };
  try {
    await runImport(state, sent, namespace, upstream, { mayBypassWhitelist: false });
    return "done";
  } catch (error) {
    if (!(error instanceof ApiFailure)) throw error;
    return error.code === 409 ? "conflict" : "failed";
  }
}
