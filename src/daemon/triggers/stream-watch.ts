import type { Mirror } from "../../config/config.ts";
import { failureOf, isTagferryError } from "../../errors/error.ts";
import { sleep } from "../../lib/cancel.ts";
import type { ImageStream, StreamName } from "../../openshift/image-stream.ts";
import type { StreamNews } from "../../openshift/watch.ts";
import { openTarget } from "../../sync/targets/open.ts";
import { driftOf, ownsTags } from "../../sync/targets/stream-drift.ts";
import type { ActiveConfig } from "../active-config.ts";
import { type DriftTracker, type DriftTrackerOptions, openDriftTracker, type Seen } from "./drift-tracker.ts";

/** Whether the streams of a namespace are watched. */
export type WatchState = {
  readonly namespace: string;
  /** `denied`: the rights are missing. Changes by others are found at the next due time. */
  readonly kind: "beginning" | "watching" | "away" | "denied";
  /** ISO. */
  readonly since: string;
  readonly reason?: string;
};

/**
 * Makes a mirror due when somebody else changes its tags in a stream. The check decides what to do. Without a working
 * watch, the change is found at the next due time.
 */
export type StreamWatch = Disposable & {
  /** From now on watches the streams of the scheduled mirrors of this configuration, with its clients. */
  follow(active: ActiveConfig): void;
  states(): readonly WatchState[];
};

const AWAY_BASE_MS = 1_000;
const AWAY_MAX_MS = 60_000;
const DENIED_MS = 10 * 60_000;

/** A mirror with a schedule, and the stream that it fills. */
type Watched = { readonly mirror: Mirror; readonly stream: StreamName };

export function openStreamWatch(options: DriftTrackerOptions): StreamWatch {
  const { log, now } = options;
  const states = new Map<string, WatchState>();
  let stopping = new AbortController();

  function notify(namespace: string, kind: WatchState["kind"], reason?: string): void {
    if (states.get(namespace)?.kind === kind) return;
    const since = now().toISOString();
    states.set(namespace, { namespace, kind, since, ...(reason === undefined ? {} : { reason }) });
    const facts = { namespace, ...(reason === undefined ? {} : { reason }) };
    if (kind === "watching") log.info(facts, `the image streams of ${namespace} are watched`);
    else if (kind !== "beginning")
      log.warn(facts, `the image streams of ${namespace} are not watched; schedules continue: ${reason}`);
  }

  async function watch(active: ActiveConfig, namespace: string, watched: readonly Watched[]): Promise<void> {
    const { signal } = stopping;
    using _ = active.use(namespace); // keeps its clients open
    const byMirror = new Map(watched.map((one) => [one.mirror.name, one]));
    const byStream = Map.groupBy(watched, ({ stream }) => stream.name);
    using tracker = openDriftTracker(options, async (name) => {
      const one = byMirror.get(name);
      const streams = await active.context.streams({ signal });
      const found = one && (await streams.get(one.stream, { signal }));
      return found ? seenBy(one.mirror, found, streams.installation) : { kind: "gone", version: "" };
    });
    notify(namespace, "beginning");
    for (let failures = 0; !signal.aborted; failures += 1)
      try {
        const streams = await active.context.streams({ signal });
        for await (const news of streams.watch(namespace, { signal })) {
          failures = 0;
          notify(namespace, "watching");
          noteNews(news, byStream, streams.installation, tracker);
        }
      } catch (error) {
        if (signal.aborted) return;
        const { code, message } = failureOf(error);
        const denied = isTagferryError(error, "CLUSTER_DENIED");
        notify(namespace, denied ? "denied" : "away", `${code}: ${message}`);
        const pauseMs = denied ? DENIED_MS : Math.min(AWAY_MAX_MS, AWAY_BASE_MS * 2 ** failures);
        await sleep(pauseMs * (0.5 + Math.random() / 2), { signal }).catch(() => {}); // aborted: the loop ends
      }
  }

  return {
    follow(active) {
      stopping.abort();
      stopping = new AbortController();
      const namespaces = Map.groupBy(watchedIn(active), ({ stream }) => stream.namespace);
      for (const namespace of states.keys()) if (!namespaces.has(namespace)) states.delete(namespace);
      for (const [namespace, watched] of namespaces)
        watch(active, namespace, watched).catch((error: unknown) =>
          log.error(
            { err: error, namespace },
            `the watch of ${namespace} was interrupted; schedules continue`,
          ),
        );
    },
    states: () => [...states.values()],
    [Symbol.dispose]: () => stopping.abort(),
  };
}

/** A mirror without a schedule is checked only on request, so its stream is not watched. */
function watchedIn({ config, context }: ActiveConfig): readonly Watched[] {
  return config.mirrors.flatMap((mirror) => {
    const { stream } = openTarget(mirror, context);
    return stream && mirror.schedule ? [{ mirror, stream }] : [];
  });
}

function seenBy(mirror: Mirror, stream: ImageStream, installation: string): Seen {
  return {
    kind: "stream",
    drift: driftOf(stream, mirror, installation),
    owns: ownsTags(stream, mirror, installation),
    version: stream.metadata.resourceVersion,
  };
}

/** Passes the states of streams to the tracker, for each mirror that fills them. */
function noteNews(
  news: StreamNews,
  byStream: ReadonlyMap<string, readonly Watched[]>,
  installation: string,
  tracker: DriftTracker,
): void {
  const note = (name: string, see: (mirror: Mirror) => Seen): void => {
    for (const { mirror } of byStream.get(name) ?? []) tracker.note(mirror.name, see(mirror));
  };
  switch (news.kind) {
    case "all": {
      const found = new Map(news.streams.map((stream) => [stream.metadata.name, stream]));
      for (const name of byStream.keys()) {
        const stream = found.get(name);
        note(name, (mirror) =>
          stream ? seenBy(mirror, stream, installation) : { kind: "gone", version: news.version },
        );
      }
      return;
    }
    case "changed":
      return note(news.stream.metadata.name, (mirror) => seenBy(mirror, news.stream, installation));
    case "gone": {
      const { name, resourceVersion } = news.stream.metadata;
      return note(name, () => ({ kind: "gone", version: resourceVersion }));
    }
  }
}
