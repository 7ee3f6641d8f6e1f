import { Agent, buildConnector, type Dispatcher, Pool, ProxyAgent } from "undici";

import { trustSystem } from "../../lib/system-trust.ts";
import { type Direct, openDirect } from "./large-reads.ts";
import type { ProxyRules } from "./proxy.ts";
import { openRedirectGuard, type RedirectGuard, type Resolve } from "./redirect-guard.ts";
import { endingStalledSends } from "./stalled-sends.ts";
import { openTrust, type TrustedOptions, type TrustOptions } from "./tls.ts";

export type TransportOptions = TrustOptions & {
  readonly registryUrl: URL;
  readonly proxy: ProxyRules;
  readonly connectTimeoutMs: number;
  /** From the end of a request to the first byte of its answer. */
  readonly firstByteTimeoutMs: number;
  /** The longest silence within a body. */
  readonly idleTimeoutMs: number;
  /** Whether large bodies are read through our own sockets. */
  readonly largeReads: boolean;
  /** Resolves the host names of redirects instead of the system. */
  readonly resolve?: Resolve | undefined;
};

/** Shared connections to the registry itself, and to other origins without client certificate and exceptions. */
export type Transport = AsyncDisposable & {
  dispatcherFor(url: URL): Dispatcher;
  /** For large bodies. undefined when a proxy is used or `largeReads` is off. */
  directTo(url: URL): Direct | undefined;
  /** Whether the registry may send us to an address of this class. */
  readonly mayRedirectTo: RedirectGuard["allows"];
};

export function openTransport(options: TransportOptions): Transport {
  const { registryUrl, proxy, connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs } = options;
  const common = {
    allowH2: false, // HTTP/2 halves the speed of blobs (libraries: 142 against 245 MB/s)
    keepAliveTimeout: 30_000,
    keepAliveMaxTimeout: 600_000,
    headersTimeout: firstByteTimeoutMs,
    bodyTimeout: idleTimeoutMs,
    maxHeaderSize: 32 * 1024,
  };
  const connect = { timeout: connectTimeoutMs, autoSelectFamily: true };
  const trust = openTrust(options);
  const guard = openRedirectGuard(registryUrl, options.resolve);
  const tlsOf = (isOwn: boolean): TrustedOptions =>
    isOwn ? trust.own() : { ...trust.foreign(), lookup: guard.lookup };
  const timeouts = { connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs };
  const direct = {
    own: openDirect({ ...timeouts, tls: () => tlsOf(true) }),
    foreign: openDirect({ ...timeouts, tls: () => tlsOf(false) }),
  };
  const open = new Map<string, Dispatcher>();

  function openDispatcher(isOwn: boolean, through: URL | undefined): Dispatcher {
    if (through)
      return new ProxyAgent({
        ...common,
        // for the connections through the proxy
        factory: (origin, pool: Pool.Options) => new Pool(origin, withStallTimeout(pool, idleTimeoutMs)),
        uri: through.href,
        requestTls: { ...connect, ...(isOwn ? trust.own() : trust.foreign()) },
        proxyTls: { ...connect, ...trust.foreign() },
      });
    const plain = buildConnector({ allowH2: false, ...connect, ...tlsOf(isOwn) });
    return new Agent({ ...common, connect: endingStalledSends(plain, idleTimeoutMs) });
  }

  return {
    dispatcherFor(url) {
      const isOwn = url.origin === registryUrl.origin;
      const through = proxy(url);
      if (url.protocol === "https:" || through?.protocol === "https:") trustSystem();
      const key = `${isOwn ? "own" : "other"} ${through?.href ?? ""}`;
      const dispatcher = open.get(key) ?? openDispatcher(isOwn, through);
      open.set(key, dispatcher);
      return dispatcher;
    },
    directTo(url) {
      if (!options.largeReads || proxy(url)) return undefined;
      if (url.protocol === "https:") trustSystem();
      return url.origin === registryUrl.origin ? direct.own : direct.foreign;
    },
    mayRedirectTo: guard.allows,
    async [Symbol.asyncDispose]() {
      direct.own[Symbol.dispose]();
      direct.foreign[Symbol.dispose]();
      await Promise.all([...open.values()].map((dispatcher) => dispatcher.destroy()));
    },
  };
}

function withStallTimeout({ connect, ...others }: Pool.Options, timeoutMs: number): Pool.Options {
  if (typeof connect !== "function") return { ...others, ...(connect ? { connect } : {}) };
  return { ...others, connect: endingStalledSends(connect, timeoutMs) };
}
