import type { LookupAddress, LookupOptions } from "node:dns";
import { lookup } from "node:dns/promises";
import type { LookupFunction } from "node:net";
import { callbackify } from "node:util";

import { type AddressClass, classOfAddress, classOfHost, literalAddress } from "./private-address.ts";

/** All addresses of a name. Its errors are Node's. */
export type Resolve = (hostname: string, options: LookupOptions) => Promise<readonly LookupAddress[]>;

export const RESOLVE: Resolve = (hostname, options) => lookup(hostname, { ...options, all: true });

/**
 * Whether a registry may send us to an address of this class. To this machine, the link or a metadata service: only when
 * all its own addresses are of that class. To a private network: when one of its own addresses is not public.
 */
export type RedirectGuard = {
  readonly allows: (to: AddressClass) => Promise<boolean>;
  /**
   * A name lookup for hosts that a registry sent us to. It judges the very addresses that are then connected to, so a name
   * that resolves differently the second time gains nothing.
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

/** Behind a proxy names need not resolve here: such a registry counts as public. */
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
