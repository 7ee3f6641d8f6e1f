import { keyOf, type ClusterState, findStream } from "./state.ts";
import { resolvePullSpec } from "./stream-events.ts";

/** One rollout: the text that a subscriber compares has changed. */
export type Fire = {
  readonly namespace: string;
  readonly stream: string;
  readonly tag: string;
  /** undefined: there was no image before. */
  readonly from: string | undefined;
  readonly to: string;
  readonly resourceVersion: string;
};

export type Triggers = {
  readonly fires: readonly Fire[];
  /** As a workload with an image change trigger on this tag would. */
  subscribe(namespace: string, stream: string, tag: string): void;
};

/** Evaluates every subscriber of a stream on each write of it, as the image trigger controller does. */
export function recordTriggers(state: ClusterState): Triggers {
  const fires: Fire[] = [];
  type Subscriber = { readonly stream: string; readonly tag: string; image: string | undefined };
  const subscribers = new Map<string, Subscriber[]>();
  state.listeners.add(({ type, object }) => {
    const { namespace = "", name, resourceVersion = "" } = object.metadata;
    if (type === "DELETED") return;
    for (const subscriber of subscribers.get(keyOf(namespace, name)) ?? []) {
      const to = resolvePullSpec(object, subscriber.tag);
      if (to === undefined || to === subscriber.image) continue;
      fires.push({
        namespace,
        stream: name,
        tag: subscriber.tag,
        from: subscriber.image,
        to,
        resourceVersion,
      });
      subscriber.image = to;
    }
  });
  return {
    fires,
    subscribe: (namespace, stream, tag) => {
      const key = keyOf(namespace, stream);
      const current = findStream(state, namespace, stream);
      const image = current && resolvePullSpec(current, tag);
      subscribers.set(key, [...(subscribers.get(key) ?? []), { stream, tag, image }]);
    },
  };
}
