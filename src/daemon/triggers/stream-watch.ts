import type { Mirror, Target } from "../../config/config.ts";
import { failureOf, isTagferryError } from "../../errors/error.ts";
import { sleep } from "../../lib/cancel.ts";
import type { ImageStream } from "../../openshift/image-stream.ts";
import type { StreamNews } from "../../openshift/watch.ts";
import { driftOf, ownsTags } from "../../sync/targets/stream-drift.ts";
import type { ActiveConfig } from "../active-config.ts";
import { type DriftTracker, type DriftTrackerOptions, openDriftTracker } from "./drift-tracker.ts";

/** How well the streams of a namespace are watched. */
export type WatchState = {
  readonly namespace: string;
  /** `denied`: the rights are missing, and what others change is seen at the next due time. */
  readonly kind: "beginning" | "watching" | "away" | "denied";
  /** ISO. */
  readonly since: string;
  readonly reason?: string;
};

/**
 * Makes a mirror due when somebody else changes what it published. Only a hint: what is done about it the check decides,
 * and a watch that is away costs no more than waiting for the next due time.
 */
export type StreamWatch = Disposable & {
  /** Watches for the scheduled mirrors of this configuration from now on, with its clients. */
  follow(active: ActiveConfig): void;
  states(): readonly WatchState[];
};

const AWAY_BASE_MS = 1_000;
const AWAY_MAX_MS = 60_000;
const DENIED_MS = 10 * 60_000;

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

  async function watch(active: ActiveConfig, namespace: string, mirrors: readonly Mirror[]): Promise<void> {
    const { signal } = stopping;
    using _ = active.use(namespace); // its clients stay open
    using tracker = openDriftTracker(options);
    notify(namespace, "beginning");
    for (let failures = 0; !signal.aborted; failures += 1)
      try {
        const streams = await active.context.streams({ signal });
        for await (const news of streams.watch(namespace, { signal })) {
          failures = 0;
          notify(namespace, "watching");
          noteNews(news, mirrors, streams.installation, tracker);
        }
      } catch (error) {
        if (signal.aborted) return;
        const { code, message } = failureOf(error);
        const denied = isTagferryError(error, "CLUSTER_DENIED");
        notify(namespace, denied ? "denied" : "away", `${code}: ${message}`);
        const pauseMs = denied ? DENIED_MS : Math.min(AWAY_MAX_MS, AWAY_BASE_MS * 2 ** failures);
        await sleep(pauseMs * (0.5 + Math.random() / 2), { signal }).catch(() => {}); // told to stop: seen above
      }
  }

  return {
    follow(active) {
      stopping.abort();
      stopping = new AbortController();
      const namespaces = Map.groupBy(active.config.mirrors.filter(isWatched), (mirror) =>
        namespaceOf(mirror.target),
      );
      for (const namespace of states.keys()) if (!namespaces.has(namespace)) states.delete(namespace);
      for (const [namespace, mirrors] of namespaces)
        watch(active, namespace, mirrors).catch((error: unknown) =>
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

/** A mirror without a schedule runs when a person says so. */
function isWatched({ target, schedule }: Mirror): boolean {
  return target.kind === "imagestream" && schedule !== undefined;
}

function namespaceOf(target: Target): string {
  return target.kind === "imagestream" ? target.namespace : "";
}

function isTarget({ target }: Mirror, { metadata }: ImageStream): boolean {
  return target.kind === "imagestream" && target.name === metadata.name;
}

/** What the streams of a namespace look like to the mirrors that fill them. */
function noteNews(
  news: StreamNews,
  mirrors: readonly Mirror[],
  installation: string,
  tracker: DriftTracker,
): void {
  const seen = (stream: ImageStream, mirror: Mirror): void =>
    tracker.note(mirror.name, {
      drift: driftOf(stream, mirror, installation),
      owns: ownsTags(stream, mirror, installation),
      version: stream.metadata.resourceVersion,
    });
  const fillers = (stream: ImageStream): readonly Mirror[] => mirrors.filter((one) => isTarget(one, stream));
  switch (news.kind) {
    case "all":
      for (const mirror of mirrors) {
        const stream = news.streams.find((one) => isTarget(mirror, one));
        if (stream) seen(stream, mirror);
        else tracker.gone(mirror.name, news.version);
      }
      return;
    case "changed":
      for (const mirror of fillers(news.stream)) seen(news.stream, mirror);
      return;
    case "gone":
      for (const { name } of fillers(news.stream)) tracker.gone(name, news.stream.metadata.resourceVersion);
  }
}
