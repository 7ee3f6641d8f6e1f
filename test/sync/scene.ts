import type { Config, Mirror } from "../../src/config/config.ts";
import { openCopyMemory } from "../../src/copy/memory.ts";
import { inProcessLease } from "../../src/limits/in-process-lease.ts";
import { formatLocation, type Location } from "../../src/oci/reference.ts";
import type { Context } from "../../src/sync/context.ts";
import type { Report } from "../../src/sync/report.ts";
import { mirrorOf } from "../plan/mirror.ts";
import { buildImage } from "../support/images/images.ts";
import type { BuiltImage } from "../support/images/manifest.ts";
import { type MemoryStore, memoryStore } from "../support/memory-store.ts";
import { SILENT } from "../support/registry/client.ts";

/** Sources and targets in memory, behind the ports that the story of a mirror uses. */
export type World = {
  readonly context: Context;
  readonly store: (name: string) => MemoryStore;
};

export function openWorld(mirrors: readonly Mirror[]): World {
  const stores = new Map<string, MemoryStore>();
  const store = (name: string): MemoryStore => {
    const known = stores.get(name) ?? memoryStore({ name });
    stores.set(name, known);
    return known;
  };
  const at = async (location: Location): Promise<MemoryStore> => store(formatLocation(location));
  const context: Context = {
    config: configOf(mirrors),
    log: SILENT,
    lease: inProcessLease(),
    memory: openCopyMemory(),
    source: at,
    target: at,
    streams: noCluster,
    integrated: noCluster,
    connectionsInUse: async () => 0,
    pausedUntil: async () => undefined,
    pausedSince: async () => undefined,
    unresponsive: () => undefined,
    ping: async () => {},
    isInsecure: () => false,
    [Symbol.asyncDispose]: async () => {},
  };
  return { context, store };
}

function noCluster(): never {
  throw new Error("this test has no cluster");
}

function configOf(mirrors: readonly Mirror[]): Config {
  return {
    file: "tagferry.yaml",
    registries: [],
    cluster: {},
    mirrors,
    daemon: { workers: 1, listen: { host: "127.0.0.1", port: 0 }, graceMs: 1 },
    fingerprint: "",
  };
}

/** A mirror from `near.example/NAME` to `far.example/NAME`, or to another repository there. */
export function between(name: string, changes: Partial<Mirror> & { readonly to?: string } = {}): Mirror {
  const { to = name, ...rest } = changes;
  return mirrorOf({
    name,
    source: { kind: "registry", registry: "near.example", repository: name },
    target: { kind: "registry", registry: "far.example", repository: to },
    ...rest,
  });
}

export function imageOf(seed: string): BuiltImage {
  return buildImage({ seed, layers: [500] });
}

/** By mirror: what became of each tag, or why the mirror failed. */
export function told({ mirrors }: Report): Record<string, Record<string, string>> {
  return Object.fromEntries(
    mirrors.map(({ mirror, outcomes, failure }) => [
      mirror,
      failure
        ? { "*": failure.code }
        : Object.fromEntries(
            outcomes.map((outcome) => [
              outcome.tag,
              "failure" in outcome ? outcome.failure.code : outcome.kind,
            ]),
          ),
    ]),
  );
}

/** A clock that only moves when it is told to. */
export function handClock(): { readonly clock: () => Date; readonly forward: (ms: number) => void } {
  let nowMs = Date.parse("2026-06-10T00:00:00Z");
  return {
    clock: () => new Date(nowMs),
    forward: (ms) => void (nowMs += ms),
  };
}
