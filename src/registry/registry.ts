import { TagferryError } from "../errors/error.ts";
import type { RetryPolicy } from "../errors/retry.ts";
import type { Cancellable } from "../lib/cancel.ts";
import type { Log } from "../lib/log.ts";
import type { CredentialStore } from "../oci/credential.ts";
import type { RateLimit } from "../oci/rate-limit.ts";
import { DOCKER_HUB, isRepositoryName } from "../oci/reference.ts";
import type { BlobTimeouts } from "./api/read-blob.ts";
import { subjectQueue } from "./api/referrers-tag.ts";
import { openAuthenticator } from "./auth/authenticator.ts";
import type { Scope } from "./auth/scope.ts";
import { openTokenTransport } from "./auth/token-transport.ts";
import { openBlobLocations } from "./blob-locations.ts";
import { type Breakers, openBreakers } from "./http/breakers.ts";
import { openRequester } from "./http/client.ts";
import { type RequestFacts, type RequestTimeouts, USER_AGENT } from "./http/request.ts";
import { openObservations } from "./observations.ts";
import type { RegistryKind } from "./profile.ts";
import { openRecognition } from "./recognise.ts";
import type { RepositoryClient } from "./repository-client.ts";
import { openRepository, type RegistryRepository, type SharedParts } from "./repository.ts";
import type { ProxyRules } from "./transport/proxy.ts";
import type { Resolve } from "./transport/redirect-guard.ts";
import { openTransport } from "./transport/transport.ts";

export type RegistryOptions = {
  /** Normalized host[:port]. */
  readonly registry: string;
  readonly kind: RegistryKind;
  /** PEM. Trusted in addition to the system's CAs. */
  readonly ca?: string | undefined;
  readonly clientCertificate?: { readonly certificate: string; readonly key: string } | undefined;
  readonly insecure: boolean;
  readonly plainHttp: boolean;
  /** Additional hosts that may receive this registry's credentials to make tokens. */
  readonly tokenRealms: readonly string[];
  readonly credentials: CredentialStore;
  readonly rateLimit: RateLimit;
  readonly proxy: ProxyRules;
  readonly log: Log;
  readonly retry?: Partial<RetryPolicy>;
  readonly timeouts?: Partial<RegistryTimeouts> | undefined;
  /** Shared by all clients of the process. Default: new ones. */
  readonly breakers?: Breakers | undefined;
  /** Read large bodies through our own sockets. Default: true. */
  readonly largeReads?: boolean | undefined;
  /** Resolves the host names of redirects instead of the system. */
  readonly resolve?: Resolve | undefined;
  /** Called for every answer, and for every request without an answer. */
  readonly onRequest?: ((request: RequestFacts) => void) | undefined;
};

export type RegistryTimeouts = RequestTimeouts &
  BlobTimeouts & {
    readonly connectMs: number;
    /** The longest silence within a body. */
    readonly idleMs: number;
    readonly freshTokenPauseMs: number;
  };

const TIMEOUTS: RegistryTimeouts = {
  connectMs: 10_000,
  firstByteMs: 30_000,
  requestMs: 60_000,
  idleMs: 60_000,
  retriesMs: 120_000,
  floorWindowMs: 60_000,
  floorBytesPerSecond: 1024,
  resumePauseMs: 200,
  freshTokenPauseMs: 1_000,
};

export type Registry = AsyncDisposable & {
  readonly host: string;
  repository(name: string): RegistryRepository;
  /**
   * Checks that this is a registry and that it accepts our credentials.
   *
   * @throws {TagferryError} REGISTRY_NOT_V2, AUTH_*, REGISTRY_*
   */
  ping(options?: Cancellable): Promise<void>;
};

/** The question for the kind only saves requests, so it is not waited for as long as for others. */
const RECOGNITION_TIMEOUT_MS = 5_000;

/**
 * Opens a registry. Its repositories share connections, tokens, and what is known about its blobs and its behaviour.
 */
export function openRegistry(options: RegistryOptions): Registry {
  const { registry, kind, log } = options;
  const timeouts = timeoutsOf(options);
  const registryUrl = urlOf(registry, options);
  const observations = openObservations(kind, registryUrl.hostname);
  const breakers = options.breakers ?? openBreakers({ log });
  const transport = openTransport({
    ...options,
    registryUrl,
    connectTimeoutMs: timeouts.connectMs,
    firstByteTimeoutMs: timeouts.firstByteMs,
    idleTimeoutMs: timeouts.idleMs,
    largeReads: options.largeReads ?? true,
  });
  const authenticator = openAuthenticator({
    registryUrl,
    registry,
    credentials: options.credentials,
    tokenRealms: options.tokenRealms,
    send: openTokenTransport({
      transport,
      breakerOf: (realm) => breakers.ofTokenServer(realm, registry),
      timeoutMs: timeouts.firstByteMs,
    }),
    freshTokenPauseMs: timeouts.freshTokenPauseMs,
  });
  const requester = openRequester({
    registry,
    registryUrl,
    transport,
    authenticator,
    rateLimit: options.rateLimit,
    breaker: breakers.ofRegistry(registry),
    log,
    retry: options.retry ?? {},
    timeouts,
    userAgent: USER_AGENT,
    onRequest: options.onRequest,
    onAnswer: (headers) => observations.answered(headers),
  });
  const recognise = openRecognition({
    registryUrl,
    observations,
    send: openTokenTransport({
      transport,
      breakerOf: () => breakers.ofRegistry(registry),
      timeoutMs: Math.min(timeouts.firstByteMs, RECOGNITION_TIMEOUT_MS),
    }),
  });
  const shared: SharedParts = {
    registry,
    blobLocations: openBlobLocations(),
    subjects: subjectQueue(),
    blobTimeouts: timeouts,
  };
  const repositories = new Map<string, RegistryRepository>();

  function open(name: string): RegistryRepository {
    if (!isRepositoryName(name))
      throw new TagferryError("CONFIG_REPOSITORY", `${registry}: this is not a repository`, {
        where: registry,
        found: name.slice(0, 200),
      });
    const pull: readonly Scope[] = [{ repository: name, actions: ["pull"] }];
    const push: readonly Scope[] = [{ repository: name, actions: ["pull", "push"] }];
    const base = new URL(`/v2/${name}/`, registryUrl);
    const client: RepositoryClient = {
      name: `${registry}/${name}`,
      repository: name,
      requester,
      recognise,
      log,
      pull,
      push,
      retry: options.retry ?? {},
      retriesMs: timeouts.retriesMs,
      firstByteMs: timeouts.firstByteMs,
      requestMs: timeouts.requestMs,
      observations,
      profile: () => observations.profile(),
      repositoryOf: (target) =>
        target.startsWith(`${registry}/`) ? target.slice(registry.length + 1) : undefined,
      url: (path) => below(base, path),
    };
    return openRepository(client, shared);
  }

  return {
    host: registry,
    repository(name) {
      const repository = repositories.get(name) ?? open(name);
      repositories.set(name, repository);
      return repository;
    },
    async ping({ signal } = {}) {
      await using answer = await requester.ask(
        {
          method: "GET",
          url: new URL("/v2/", registryUrl),
          scopes: [],
          subject: { action: "ping", what: "registry", where: registry },
          expect: [200],
        },
        { signal },
      );
      const type = answer.headers["content-type"];
      if (typeof type === "string" && /html/i.test(type))
        throw new TagferryError("REGISTRY_NOT_V2", `${registry} answers with a web page`, {
          where: registry,
          found: type,
        });
    },
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}

function timeoutsOf({ timeouts = {} }: RegistryOptions): RegistryTimeouts {
  const all = { ...TIMEOUTS, ...timeouts };
  // a longer wait for the first byte also extends the whole request
  return { ...all, requestMs: timeouts.requestMs ?? Math.max(all.requestMs, all.firstByteMs + 30_000) };
}

/** Docker Hub's registry has another host name than its images. */
function urlOf(registry: string, { plainHttp }: Pick<RegistryOptions, "plainHttp">): URL {
  const host = registry === DOCKER_HUB ? "registry-1.docker.io" : registry;
  return new URL(`${plainHttp ? "http" : "https"}://${host}/`);
}

/**
 * A URL below `base`. It cannot leave `base`, so a tag or digest from outside cannot name another repository.
 *
 * @throws {TagferryError} INTERNAL
 */
export function below(base: URL, path: string): URL {
  // prevents reading a digest's colon as a scheme
  const url = URL.parse(`./${path}`, base.href);
  const name = url?.pathname.slice(base.pathname.length) ?? "";
  const isBelow = url?.origin === base.origin && url.pathname.startsWith(base.pathname);
  // a server or proxy may decode these once more and leave the path
  if (url && isBelow && url.hash === "" && !/%2e|%2f|%5c|%25/i.test(name) && !name.includes("//")) return url;
  throw new TagferryError("INTERNAL", `${base.host}: a request would leave ${base.pathname}`, {
    where: `${base.host}${base.pathname}`,
    found: path.slice(0, 200),
  });
}
