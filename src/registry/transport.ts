import type { LookupAddress, LookupOptions } from "node:dns";
import { lookup } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import { getCACertificates } from "node:tls";
import { callbackify } from "node:util";

import { Agent, type Dispatcher, ProxyAgent } from "undici";

import { isPrivateAddress, isPrivateHost } from "./address.ts";
import { type Direct, openDirect } from "./direct.ts";
import type { ProxyRules } from "./proxy.ts";

export type TransportOptions = {
  readonly registryUrl: URL;
  /** PEM, trusted besides the system's authorities. */
  readonly ca?: string | undefined;
  readonly clientCertificate?: { readonly certificate: string; readonly key: string } | undefined;
  /** Take any certificate from the registry itself. */
  readonly insecure: boolean;
  readonly proxy: ProxyRules;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
};

/** Connections, kept alive and shared: to the registry itself, and (without its certificate and laxities) to other origins. */
export type Transport = AsyncDisposable & {
  dispatcherFor(url: URL): Dispatcher;
  /** For large bodies; undefined where a proxy stands between. */
  directTo(url: URL): Direct | undefined;
};

export function openTransport({
  registryUrl,
  ca,
  clientCertificate,
  insecure,
  proxy,
  ...timeouts
}: TransportOptions): Transport {
  const common = {
    allowH2: false, // HTTP/2 halves the speed of blobs (libraries: 142 against 245 MB/s)
    keepAliveTimeout: 30_000,
    keepAliveMaxTimeout: 600_000,
    headersTimeout: timeouts.idleTimeoutMs,
    bodyTimeout: timeouts.idleTimeoutMs,
    maxHeaderSize: 32 * 1024,
  };
  const trusted = ca === undefined ? {} : { ca: [...getCACertificates("default"), ca] };
  const connect = { timeout: timeouts.connectTimeoutMs, autoSelectFamily: true, ...trusted };
  const own = {
    ...connect,
    ...(clientCertificate ? { cert: clientCertificate.certificate, key: clientCertificate.key } : {}),
    ...(insecure ? { rejectUnauthorized: false } : {}),
  };
  const foreign = { ...connect, lookup: guardedLookup(registryUrl) };
  const open = new Map<string, Dispatcher>();
  const direct = {
    own: openDirect({ ...timeouts, tls: own }),
    foreign: openDirect({ ...timeouts, tls: foreign }),
  };

  function openDispatcher(isOwn: boolean, through: URL | undefined): Dispatcher {
    if (through)
      return new ProxyAgent({
        ...common,
        uri: through.href,
        requestTls: isOwn ? own : connect,
        proxyTls: connect,
      });
    return new Agent({ ...common, connect: isOwn ? own : foreign });
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
      if (proxy(url)) return undefined;
      return url.origin === registryUrl.origin ? direct.own : direct.foreign;
    },
    async [Symbol.asyncDispose]() {
      direct.own[Symbol.dispose]();
      direct.foreign[Symbol.dispose]();
      await Promise.all([...open.values()].map((dispatcher) => dispatcher.destroy()));
    },
  };
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
