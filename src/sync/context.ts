import { readFileSync } from "node:fs";

import type { Config, RegistrySettings } from "../config/config.ts";
import { credentialStore } from "../config/credentials/credentials.ts";
import { type CopyMemory, openCopyMemory } from "../copy/memory.ts";
import { type Layout, openLayout } from "../layout/layout.ts";
import type { LayoutTurns } from "../layout/writer.ts";
import type { Cancellable } from "../lib/cancel.ts";
import type { Log } from "../lib/log.ts";
import { inProcessLease } from "../limits/in-process-lease.ts";
import { inProcessRateLimit } from "../limits/in-process-rate-limit.ts";
import type { CredentialStore } from "../oci/credential.ts";
import type { Lease } from "../oci/lease.ts";
import { type RateLimit, type RateLimits, registryOfQueue } from "../oci/rate-limit.ts";
import type { Location, Repository } from "../oci/reference.ts";
import type { ImageSource, ImageTarget } from "../oci/store.ts";
import { type Cluster, openCluster } from "../openshift/cluster.ts";
import type { StreamName } from "../openshift/image-stream.ts";
import { openStreams, type Streams } from "../openshift/streams.ts";
import type { Unresponsive } from "../registry/http/breaker.ts";
import { openBreakers } from "../registry/http/breakers.ts";
import type { RequestFacts } from "../registry/http/request.ts";
import { openRegistry, type Registry } from "../registry/registry.ts";
import { parseProxy } from "../registry/transport/proxy.ts";
import type { ProofStore } from "./proofs/proofs.ts";

/** Creates all clients. The mirrors share them, and closing the context closes them. */
export type Context = AsyncDisposable & {
  readonly config: Config;
  readonly log: Log;
  readonly lease: Lease;
  /** The memory of all copies. */
  readonly memory: CopyMemory;
  /** Remembers when tags were proved. undefined: no proofs are made. */
  readonly proofs?: ProofStore | undefined;
  /** A repository, or an existing layout. */
  source(place: Location): Promise<ImageSource>;
  /** A repository, or a layout, which is created if it does not exist. */
  target(place: Location): Promise<ImageTarget>;
  /** Opens the connection to the cluster at the first call. */
  streams(options?: Cancellable): Promise<Streams>;
  /** The number of requests to a registry that are in progress. */
  connectionsInUse(registry: string): Promise<number>;
  /** Until when no requests are sent to a registry, because it asked for a pause or does not answer. */
  pausedUntil(registry: string): Promise<Date | undefined>;
  /** Since when a registry has been paused at its own request. */
  pausedSince(registry: string): Promise<Date | undefined>;
  /** Since when a registry does not answer, as far as this process knows; undefined: it answers. */
  unresponsive(registry: string): Unresponsive | undefined;
  /** The repository of a stream in the integrated registry, with the cluster's token as password. */
  integrated(stream: StreamName, options?: Cancellable): Promise<ImageTarget>;
  /** Checks that this is a registry and that it accepts our credentials. */
  ping(repository: Repository, options?: Cancellable): Promise<void>;
  /** Whether the cluster must use HTTP or an unverified certificate for this registry. */
  isInsecure(repository: Repository): boolean;
};

export type ContextOptions = {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** Shared with other processes. Default: shared only within this process. */
  readonly lease?: Lease;
  readonly openRateLimit?: (limitsOf: (registry: string) => RateLimits) => RateLimit;
  /** Default: this process locks the layout from its first write on. */
  readonly layoutTurns?: LayoutTurns;
  readonly proofs?: ProofStore | undefined;
  /** Called for every answer of a registry. */
  readonly onRequest?: (request: RequestFacts) => void;
};

/** For a registry without settings. */
export const DEFAULT_CONNECTIONS = 16;

/**
 * The service CA that OpenShift mounts next to the service account's token. It signs the integrated registry's
 * certificate.
 */
const SERVICE_CA_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/service-ca.crt";

export function openContext({
  config,
  env,
  log,
  lease = inProcessLease(),
  openRateLimit = inProcessRateLimit,
  layoutTurns,
  proofs,
  onRequest,
}: ContextOptions): Context {
  const closing = new AsyncDisposableStack();
  const proxy = parseProxy(env);
  const credentials = credentialStore({ registries: config.registries, env });
  const rateLimit = openRateLimit((line) => limitsOf(config, registryOfQueue(line)));
  const registries = new Map<string, Registry>();
  const breakers = openBreakers({ log });
  const layouts = new Map<string, Promise<Layout>>();
  let cluster: Promise<Cluster> | undefined;

  function registryOf(settings: RegistrySettings, login: CredentialStore = credentials): Registry {
    const key = `${settings.kind} ${settings.registry}/${settings.pathPrefix ?? ""}`;
    const open = registries.get(key);
    if (open) return open;
    const registry = closing.use(
      openRegistry({
        ...settings,
        credentials: login,
        rateLimit,
        breakers,
        proxy,
        log,
        onRequest,
      }),
    );
    registries.set(key, registry);
    return registry;
  }

  function layoutAt(directory: string, { create }: { readonly create: boolean }): Promise<Layout> {
    const open = layouts.get(directory);
    if (open) return open;
    const layout = openLayout(directory, { create, ...(layoutTurns ? { turns: layoutTurns } : {}) }).then(
      (opened) => closing.use(opened),
    );
    layouts.set(directory, layout);
    layout.catch(() => layouts.delete(directory)); // not cached: it may be repaired before a later run
    return layout;
  }

  async function clusterOnce(options: Cancellable = {}): Promise<Cluster> {
    const opening = (cluster ??= openCluster({ ...config.cluster, env, log, ...options }).then((opened) =>
      closing.use(opened),
    ));
    try {
      return await opening;
    } catch (error) {
      if (cluster === opening) cluster = undefined; // not cached: it may be repaired before a later run
      throw error;
    }
  }

  const streams = async (options?: Cancellable): Promise<Streams> =>
    openStreams(await clusterOnce(options), {
      registry: config.cluster.registry,
      owner: config.cluster.owner,
      log,
    });

  return {
    config,
    log,
    lease,
    memory: openCopyMemory(),
    proofs,
    source: async (place) =>
      place.kind === "layout"
        ? layoutAt(place.directory, { create: false })
        : registryOf(settingsOf(config, place)).repository(place.repository),
    target: async (place) =>
      place.kind === "layout"
        ? layoutAt(place.directory, { create: true })
        : registryOf(settingsOf(config, place)).repository(place.repository),
    streams,
    connectionsInUse: (registry) => rateLimit.inUse(registry),
    async pausedUntil(registry) {
      return breakers.state(registry)?.retryAt ?? rateLimit.pausedUntil(registry);
    },
    pausedSince: (registry) => rateLimit.pausedSince(registry),
    unresponsive: (registry) => breakers.state(registry),
    async integrated({ namespace, name }, options) {
      const open = await streams(options);
      const host = await open.registryHost({ namespace, name }, options);
      const settings = settingsOf(config, { registry: host, repository: `${namespace}/${name}` });
      const login: CredentialStore = async () => ({
        credential: { kind: "bearer", token: await open.registryToken(options) },
        from: "the cluster's token",
      });
      const ca = settings.ca ?? serviceCa();
      return registryOf(
        { ...settings, kind: "openshift", ...(ca === undefined ? {} : { ca }) },
        login,
      ).repository(`${namespace}/${name}`);
    },
    ping: (repository, options) => registryOf(settingsOf(config, repository)).ping(options),
    isInsecure(repository) {
      const { insecure, plainHttp } = settingsOf(config, repository);
      return insecure || plainHttp;
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

/** The entry with this host and the longest matching path prefix. Without an entry, defaults apply. */
function settingsOf({ registries }: Config, { registry, repository }: Repository): RegistrySettings {
  return (
    registries.find(
      ({ registry: host, pathPrefix }) =>
        host === registry && (pathPrefix === undefined || `${repository}/`.startsWith(`${pathPrefix}/`)),
    ) ?? {
      registry,
      kind: "auto",
      insecure: false,
      plainHttp: false,
      connections: DEFAULT_CONNECTIONS,
      tokenRealms: [],
    }
  );
}

function limitsOf(
  { registries }: Config,
  registry: string,
): { connections: number; requestsPerSecond?: number | undefined } {
  // Limits belong to the whole host. The last entry has the shortest prefix: the entry for the whole host, if there is
  // one.
  const settings = registries.findLast((one) => one.registry === registry);
  return {
    connections: settings?.connections ?? DEFAULT_CONNECTIONS,
    requestsPerSecond: settings?.requestsPerSecond,
  };
}

function serviceCa(): string | undefined {
  try {
    return readFileSync(SERVICE_CA_FILE, "utf8");
  } catch {
    return undefined; // not in a pod, or an older cluster: only the system's CAs are used
  }
}
