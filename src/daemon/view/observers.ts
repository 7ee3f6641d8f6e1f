import type { Log } from "../../lib/log.ts";
import type { RequestFacts } from "../../registry/http/request.ts";
import type { Outcome } from "../../sync/report.ts";
import type { Observation } from "./view.ts";

/** The listeners that count what this process does, and what its requests revealed about registries. */
export type Observers = {
  notify(observation: Observation): void;
  outcome(outcome: Outcome, facts: { readonly freshnessMs?: number }): void;
  listen(listener: (observation: Observation) => void): Disposable;
  /** The number of pulls that are left, as the registry last reported it. */
  pullsLeft(registry: string): number | undefined;
  /** The registries that this process has sent requests to. */
  registries(): readonly string[];
};

export function openObservers(log: Log): Observers {
  const listeners = new Set<(observation: Observation) => void>();
  const pulls = new Map<string, number>();
  const seen = new Set<string>();

  function notify(observation: Observation): void {
    if (observation.kind === "request") {
      seen.add(observation.registry);
      if (observation.pullsLeft !== undefined) pulls.set(observation.registry, observation.pullsLeft);
    }
    for (const listener of listeners)
      try {
        listener(observation);
      } catch (error) {
        log.warn({ err: error }, "an observer failed"); // the work goes on
      }
  }

  return {
    notify,
    outcome: (outcome, { freshnessMs }) =>
      notify({
        kind: "outcome",
        mirror: outcome.mirror,
        outcome: outcome.kind,
        bytes: "moved" in outcome ? outcome.moved.bytes : 0,
        ...(freshnessMs === undefined ? {} : { freshnessS: freshnessMs / 1000 }),
      }),
    listen(listener) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
    pullsLeft: (registry) => pulls.get(registry),
    registries: () => [...seen],
  };
}

export function observedRequest({ registry, status, pullsLeft }: RequestFacts): Observation {
  return {
    kind: "request",
    registry,
    class: classOf(status),
    ...(pullsLeft === undefined ? {} : { pullsLeft }),
  };
}

function classOf(status: number | undefined): Extract<Observation, { readonly kind: "request" }>["class"] {
  if (status === undefined) return "error";
  if (status === 429) return "429";
  if (status < 300) return "2xx";
  if (status < 400) return "3xx";
  return status < 500 ? "4xx" : "5xx";
}
