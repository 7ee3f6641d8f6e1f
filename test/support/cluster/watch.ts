import type { Answer, RegistryRequest } from "../registry/wire.ts";
import type { ApiCall } from "./call.ts";
import { selected } from "./call.ts";
import { ApiFailure, failureBody } from "./failure.ts";
import { type ClusterState, listStreams, type WatchEvent } from "./state.ts";

/** The watches that are open on one server, so that a test can end them or send bookmarks. */
export type Watches = {
  readonly open: Set<{ readonly bookmark: () => void; readonly end: () => void }>;
};

const watchesOf = new WeakMap<ClusterState, Watches>();

export function watchesFor(state: ClusterState): Watches {
  const known = watchesOf.get(state);
  if (known) return known;
  const made: Watches = { open: new Set() };
  watchesOf.set(state, made);
  return made;
}

/** One JSON event a line, from a version on, until the client or its timeout ends it. */
export function watchStreams(call: ApiCall): Answer {
  return {
    status: 200,
    headers: { "content-type": "application/json", "cache-control": "no-cache, private" },
    send: (request) => serve(call, request),
  };
}

async function serve(
  { state, namespace, name, parameters }: ApiCall,
  request: RegistryRequest,
): Promise<void> {
  const { response, gone, entry } = request;
  response.writeHead(200, { "content-type": "application/json", "transfer-encoding": "chunked" });
  response.flushHeaders();
  const write = (type: string, object: unknown): void => {
    const line = Buffer.from(`${JSON.stringify({ type, object })}\n`);
    entry.responseBytes += line.length;
    response.write(line);
  };
  const from = parameters.get("resourceVersion") ?? "";
  if (from !== "" && from !== "0" && Number(from) < state.compactedAt) {
    const why = `too old resource version: ${from} (${state.compactedAt})`;
    write("ERROR", failureBody(new ApiFailure(410, "Expired", why)));
    response.end();
    return;
  }
  const wanted = ({ object }: Pick<WatchEvent, "object">): boolean =>
    (namespace === "" || object.metadata.namespace === namespace) &&
    (name === "" || object.metadata.name === name) &&
    selected({ ...object }, parameters);
  const tell = (event: WatchEvent): void => {
    if (wanted(event)) write(event.type, event.object);
  };
  if (from === "" || from === "0")
    for (const object of listStreams(state)) {
      if (wanted({ object })) write("ADDED", object);
    }
  else for (const event of state.watchLog) if (event.resourceVersion > Number(from)) tell(event);
  await follow({ state, parameters, tell, write, gone });
  if (!response.destroyed) response.end();
}

async function follow({
  state,
  parameters,
  tell,
  write,
  gone,
}: {
  readonly state: ClusterState;
  readonly parameters: URLSearchParams;
  readonly tell: (event: WatchEvent) => void;
  readonly write: (type: string, object: unknown) => void;
  readonly gone: AbortSignal;
}): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const bookmark = (): void => {
    if (parameters.get("allowWatchBookmarks") !== "true") return;
    const metadata = { resourceVersion: String(state.resourceVersion), creationTimestamp: null };
    write("BOOKMARK", { kind: "ImageStream", apiVersion: "image.openshift.io/v1", metadata });
  };
  const watch = { bookmark, end: () => resolve() };
  const { open } = watchesFor(state);
  open.add(watch);
  state.listeners.add(tell);
  const timeoutSeconds = Number(parameters.get("timeoutSeconds") ?? 0);
  const timer = timeoutSeconds > 0 ? setTimeout(resolve, timeoutSeconds * 1000) : undefined;
  gone.addEventListener("abort", () => resolve(), { once: true });
  if (gone.aborted) resolve();
  await promise;
  clearTimeout(timer);
  bookmark();
  open.delete(watch);
  state.listeners.delete(tell);
}
