import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { makeCertificates } from "../certificates.ts";
import { type Ledger, type LedgerEntry, openLedger } from "../ledger.ts";
import type { Behaviour } from "../registry/behaviour.ts";
import { registryContents, type RegistryContents } from "../registry/handler.ts";
import { type Connections, listen, type TlsOptions } from "../registry/registry.ts";
import { type Fault, type GateOptions, type Held, openRules, type RuleMatch } from "../registry/rules.ts";
import { createRegistryStore, type RegistryStore } from "../registry/store.ts";
import type { Answer, RegistryRequest } from "../registry/wire.ts";
import { type ClusterUser, makeUser, tokenOf, type UserOptions } from "./access.ts";
import { type ApiServer, handleApi } from "./api.ts";
import { contentsOf, publishConfig, kubeconfigOf, stateOf } from "./contents.ts";
import { startImportController } from "./controller.ts";
import type { ImageObject, ImageStream, KubeObject } from "./objects.ts";
import { integratedRegistry } from "./registry.ts";
import type { SeedStream } from "./seed.ts";
import type { NamespaceLimits } from "./state.ts";
import { recordTriggers, type Triggers } from "./triggers.ts";
import type { UpstreamOptions } from "./upstream.ts";
import { watchesFor } from "./watch.ts";

export type ClusterOptions = {
  /** API server and registry speak TLS, both with a certificate of the test CA. */
  readonly tls?: boolean;
  /** Those that exist from the start. Default: `mirror`. */
  readonly namespaces?: readonly string[];
  /** The first one is who the kubeconfig logs in. Default: one who may do everything. */
  readonly users?: readonly UserOptions[];
  /** Without it the streams have no repository. Default: true. */
  readonly integratedRegistry?: boolean;
  /** The host the streams' status names; default: where the registry really listens. */
  readonly internalRegistryHost?: string;
  readonly registryBehaviour?: Partial<Behaviour>;
  /** Where the hosts in image references really are: `{ "docker.io": "http://127.0.0.1:5001" }`. These are trusted. */
  readonly upstreams?: Readonly<Record<string, string>>;
  /** PEM: what imports and pull-through trust besides the system's CAs. */
  readonly upstreamCa?: string;
  readonly insecureRegistries?: readonly string[];
  readonly blockedRegistries?: readonly string[];
  /** undefined: imports may come from anywhere. */
  readonly allowedRegistries?: readonly string[];
  readonly defaultImportMode?: "Legacy" | "PreserveOriginal";
};

/** What a test can make one of the two servers do. */
export type ServerControl = {
  /**
   * The first matching request gets the first fault, and so on. After the last fault, requests are answered normally.
   */
  on(match: RuleMatch, ...faults: Fault[]): () => void;
  /** Runs before every request; the request waits for it. */
  before(hook: (request: RegistryRequest) => void | Promise<void>): () => void;
  /** Holds the nth request from now (or the one that matches) until it is released. */
  gate(match: RuleMatch | number, options?: GateOptions): Promise<Held>;
};

export type TestCluster = AsyncDisposable &
  ServerControl &
  Triggers & {
    readonly apiUrl: string;

    /** YAML. */
    readonly kubeconfig: string;
    /** Writes it to `kubeconfig` in the directory and returns the path. */
    writeKubeconfig(directory: string): Promise<string>;
    /** Where the integrated registry listens: 127.0.0.1:PORT, or localhost:PORT with TLS. */
    readonly registryHost: string;
    /** The same registry under the other of the two names: the default route. */
    readonly publicRegistryHost: string;
    readonly registryUrl: string;
    /** Of the first user. */
    readonly token: string;
    /** PEM, with TLS. */
    readonly ca: string | undefined;
    readonly ledger: Ledger;
    /** Of the API server. */
    readonly connections: Connections;
    readonly registryLedger: Ledger;
    readonly registryStore: RegistryStore;
    /** Faults and contents of the integrated registry. Content that is put in here does not count as a push. */
    readonly registry: ServerControl & RegistryContents;
    /** As a client reads it; undefined when there is none. */
    stream(namespace: string, name: string): ImageStream | undefined;
    image(digest: string): ImageObject | undefined;
    seedStream(namespace: string, name: string, seed?: SeedStream): ImageStream;
    /** Edits the stream as another client; `manager` is its name in managedFields. */
    editStream(
      namespace: string,
      name: string,
      manager: string,
      change: (stream: ImageStream) => void,
    ): ImageStream;
    createNamespace(name: string): void;
    addUser(user: UserOptions): ClusterUser;
    revokeToken(token: string): void;
    /** The user who sent a request of either ledger; undefined: not a user of the cluster. */
    userOf(entry: LedgerEntry): string | undefined;
    /** Any object of the kinds that are served besides streams: templates, workloads, secrets. */
    seedObject(group: string, resource: string, object: KubeObject): KubeObject;
    objects(group: string, resource: string): KubeObject[];
    /** A pull secret of the namespace for imports and pull-through. */
    seedPullSecret(namespace: string, host: string, username: string, password: string): void;
    setLimits(namespace: string, limits: NamespaceLimits): void;
    setAllowedRegistries(allowed: readonly string[] | undefined): void;
    /** One period of the scheduled importer, now. */
    runScheduledImports(): Promise<void>;
    /** Resolves when all imports that stream writes have started are done. */
    idle(): Promise<void>;
    /** Runs the nightly pruner: removes everything that no stream names from API and registry, of any age. */
    prune(): void;
    /** Watches from before now are answered 410 Expired. */
    compact(): void;
    endWatches(): void;
    sendBookmarks(): void;
    readonly watchers: number;
    close(): Promise<void>;
  };

/** An OpenShift image API and integrated registry on real sockets, in this process. */
export async function startCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const state = stateOf(options);
  const { users, addUser, token } = openUsers(options);
  const certificates = options.tls === true ? await makeCertificates() : undefined;
  const ca = certificates?.ca.cert;
  const server: ApiServer = { state, upstream: upstreamOf(options), users };
  const triggers = recordTriggers(state);
  const store = createRegistryStore();
  await using stack = new AsyncDisposableStack();
  const controller = stack.use(startImportController(state, server.upstream));
  const servers = await listenBoth(server, store, certificates?.server, options.registryBehaviour);
  stack.use(servers);
  const { api, registry, apiUrl, connections, registryHost, registryUrl } = servers;
  const publicRegistryHost = otherName(registryHost);
  if (options.integratedRegistry !== false) {
    state.registryHost = options.internalRegistryHost ?? registryHost;
    state.publicRegistryHost = publicRegistryHost;
  }
  publishConfig(state);
  const owned = stack.move();
  const close = (): Promise<void> => {
    for (const { end } of watchesFor(state).open) end();
    return owned.disposeAsync();
  };
  const kubeconfig = kubeconfigOf({ apiUrl, token, ca });
  return {
    ...contentsOf(state, store),
    ...triggers,
    ...api.control,
    apiUrl,
    kubeconfig,
    writeKubeconfig: async (directory) => {
      const path = join(directory, "kubeconfig");
      await writeFile(path, kubeconfig, { mode: 0o600 });
      return path;
    },
    registryHost,
    publicRegistryHost,
    registryUrl,
    token,
    ca,
    ledger: api.ledger,
    connections,
    registryLedger: registry.ledger,
    registryStore: store,
    registry: { ...registry.control, ...registryContents(store) },
    addUser,
    revokeToken: (old) => {
      users.delete(old);
    },
    userOf: ({ authorization }) => users.get(tokenOf(authorization) ?? "")?.name,
    runScheduledImports: () => controller.runScheduled(),
    idle: () => controller.idle(),
    get watchers() {
      return watchesFor(state).open.size;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function openUsers({ users: wanted = [{ name: "tagferry" }] }: ClusterOptions) {
  const users = new Map<string, ClusterUser>();
  const addUser = (user: UserOptions): ClusterUser => {
    const made = makeUser(user);
    users.set(made.token, made);
    return made;
  };
  const [first] = wanted.map(addUser);
  return { users, addUser, token: first?.token ?? "" };
}

function upstreamOf(options: ClusterOptions): UpstreamOptions {
  return {
    upstreams: new Map(Object.entries(options.upstreams ?? {})),
    ca: options.upstreamCa,
    insecureRegistries: options.insecureRegistries ?? [],
    blockedRegistries: options.blockedRegistries ?? [],
    found: new Map(),
  };
}

async function listenBoth(
  server: ApiServer,
  store: RegistryStore,
  certificate: TlsOptions | undefined,
  behaviour: Partial<Behaviour> | undefined,
) {
  await using stack = new AsyncDisposableStack();
  const tls = certificate && { cert: certificate.cert, key: certificate.key };
  const api = openServer();
  const handleCall = (request: RegistryRequest): Promise<Answer> => handleApi(server, request);
  const { url: apiUrl, connections } = stack.use(
    await listen({ ...api.serving, tls, port: 0, kind: "other", handle: handleCall }),
  );
  const registry = openServer();
  const handle = integratedRegistry({ ...server, store, scheme: tls ? "https" : "http" }, behaviour);
  const { host, url } = stack.use(await listen({ ...registry.serving, tls, port: 0, handle }));
  const owned = stack.move();
  return {
    api,
    registry,
    apiUrl,
    connections,
    registryHost: host,
    registryUrl: url,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Ledger, rules and hooks of one server. */
function openServer() {
  const ledger = openLedger();
  const rules = openRules();
  const befores = new Set<(request: RegistryRequest) => void | Promise<void>>();
  const control: ServerControl = {
    on: (match, ...faults) => rules.on(match, ...faults),
    gate: (match, options) => rules.gate(match, options),
    before: (hook) => {
      befores.add(hook);
      return () => befores.delete(hook);
    },
  };
  return { ledger, control, serving: { ledger, rules, befores } };
}

function otherName(host: string): string {
  return host.startsWith("localhost:")
    ? host.replace("localhost", "127.0.0.1")
    : host.replace("127.0.0.1", "localhost");
}
