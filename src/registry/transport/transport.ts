import type { LookupAddress, LookupOptions } from "node:dns";
import { lookup } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import { callbackify } from "node:util";

import { Agent, buildConnector, type Dispatcher, Pool, ProxyAgent } from "undici";

import { type Direct, openDirect } from "./large-reads.ts";
import { isPrivateAddress, isPrivateHost } from "./private-address.ts";
import type { ProxyRules } from "./proxy.ts";
import { endingStalledSends } from "./stalled-sends.ts";
import { openTrust, type TrustedOptions, type TrustOptions } from "./tls.ts";

export type TransportOptions = TrustOptions & {
  readonly registryUrl: URL;
  readonly proxy: ProxyRules;
  readonly connectTimeoutMs: number;
  /** From the end of a request to the first byte of its answer. */
  readonly firstByteTimeoutMs: number;
  /** Silence within a body. */
  readonly idleTimeoutMs: number;
  /** Whether large bodies are read through sockets of our own. */
  readonly largeReads: boolean;
};

/** Connections, kept alive and shared: to the registry itself, and (without its certificate and laxities) to other origins. */
export type Transport = AsyncDisposable & {
  dispatcherFor(url: URL): Dispatcher;
  /** For large bodies; undefined where a proxy stands between, or where `largeReads` is off. */
  directTo(url: URL): Direct | undefined;
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
  const guard = { lookup: guardedLookup(registryUrl) };
  const tlsOf = (isOwn: boolean): TrustedOptions => (isOwn ? trust.own() : { ...trust.foreign(), ...guard });
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
        // what is connected through the proxy; the connection to it carries that and nothing else
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
      const key = `${isOwn ? "own" : "other"} ${through?.href ?? ""}`;
      const dispatcher = open.get(key) ?? openDispatcher(isOwn, through);
      open.set(key, dispatcher);
      return dispatcher;
    },
    directTo(url) {
      if (!options.largeReads || proxy(url)) return undefined;
      return url.origin === registryUrl.origin ? direct.own : direct.foreign;
    },
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

/**
 * A name lookup for hosts a public registry sent us to: none may lead into a private network. It judges the address that
 * is then connected to, so a name that resolves differently the second time gains nothing.
 */
function guardedLookup(registryUrl: URL): LookupFunction {
  let isPrivateRegistry: Promise<boolean> | undefined;
  const guarded = async (hostname: string, options: LookupOptions): Promise<LookupAddress[]> => {
    const addresses = await lookup(hostname, { ...options, all: true });
    const bad = addresses.find(({ address }) => isPrivateAddress(address));
    if (!bad || (await (isPrivateRegistry ??= leadsInside(registryUrl.hostname)))) return addresses;
    const refused: NodeJS.ErrnoException = new Error(
      `${hostname} leads to the private address ${bad.address}`,
    );
    refused.code = "ERR_REDIRECT_PRIVATE";
    throw refused;
  };
  const asCallback = callbackify(guarded);
  return (hostname, options, callback) =>
    asCallback(hostname, options, (error: NodeJS.ErrnoException | null, addresses) => {
      const [first] = error ? [] : addresses;
      if (error || options.all === true || !first) callback(error, error ? [] : addresses);
      else callback(null, first.address, first.family);
    });
}

/** Whether the registry itself is in a private network: then so may be its storage and its token server. */
export async function leadsInside(hostname: string): Promise<boolean> {
  if (isPrivateHost(hostname)) return true;
  if (isIP(hostname) !== 0) return false;
  try {
    const addresses = await lookup(hostname, { all: true });
    return addresses.some(({ address }) => isPrivateAddress(address));
  } catch {
    return false; // behind a proxy names need not resolve here
  }
}
