import type { LookupAddress, LookupOptions } from "node:dns";
import { lookup } from "node:dns/promises";
import type { LookupFunction } from "node:net";
import { callbackify } from "node:util";

import { type AddressClass, classOfAddress, classOfHost, literalAddress } from "./private-address.ts";

/** Returns all addresses of a name. Throws the errors of Node. */
export type Resolve = (hostname: string, options: LookupOptions) => Promise<readonly LookupAddress[]>;

export const RESOLVE: Resolve = (hostname, options) => lookup(hostname, { ...options, all: true });

/**
 * Whether a registry may redirect us to an address of this class. `loopback` and `link` are allowed only if all
 * addresses of the registry are of the same class, `private` if one of its addresses is not public.
 */
export type RedirectGuard = {
  readonly allows: (to: AddressClass) => Promise<boolean>;
  /**
   * Resolves host names of redirects. It checks the addresses that are used for the connection, so a second resolution
   * with another result has no effect.
   */
  readonly lookup: LookupFunction;
};

export function openRedirectGuard(registryUrl: URL, resolve: Resolve = RESOLVE): RedirectGuard {
  async function allows(to: AddressClass): Promise<boolean> {
    if (to === "public") return true;
    const own = await classesOf(registryUrl.hostname, resolve);
    return to === "private" ? own.some((one) => one !== "public") : own.every((one) => one === to);
  }

  async function guarded(hostname: string, options: LookupOptions): Promise<readonly LookupAddress[]> {
    const addresses = await resolve(hostname, options);
    for (const { address } of addresses)
      if (!(await allows(classOfAddress(address)))) throw refusal(hostname, address);
    return addresses;
  }

  return { allows, lookup: asLookup(guarded) };
}

/** Behind a proxy, names may not resolve here. Such a registry counts as public. */
async function classesOf(hostname: string, resolve: Resolve): Promise<readonly AddressClass[]> {
  const byLooks = classOfHost(hostname);
  if (byLooks !== "public" || literalAddress(hostname) !== undefined) return [byLooks];
  try {
    const classes = (await resolve(hostname, {})).map(({ address }) => classOfAddress(address));
    return classes.length > 0 ? classes : ["public"];
  } catch {
    return ["public"];
  }
}

function refusal(hostname: string, address: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${hostname} leads to the address ${address}`), {
    code: "ERR_REDIRECT_PRIVATE",
  });
}

function asLookup(resolve: Resolve): LookupFunction {
  const asCallback = callbackify(resolve);
  return (hostname, options, callback) =>
    asCallback(hostname, options, (error: NodeJS.ErrnoException | null, addresses) => {
      const [first] = error ? [] : addresses;
      if (error || options.all === true || !first) callback(error, error ? [] : [...addresses]);
      else callback(null, first.address, first.family);
    });
}
