import type { Log } from "../../lib/log.ts";
import {
  type Breaker,
  BREAKER_POLICY,
  type BreakerPolicy,
  openBreaker,
  type Unresponsive,
} from "./breaker.ts";

/**
 * The breakers of a process, one per host. Whatever asks a host uses the same one: if the host is silent, it is silent
 * for all.
 */
export type Breakers = {
  ofRegistry(registry: string): Breaker;
  /** The token server at this realm, which `registry` uses. Its host may be the registry's own. */
  ofTokenServer(realm: URL, registry: string): Breaker;
  /** Why no requests are sent to this registry: it does not answer, or its token server does not. */
  state(registry: string): Unresponsive | undefined;
};

type BreakersOptions = {
  readonly log: Log;
  readonly policy?: BreakerPolicy;
};

/** One request for a token is tried twice, for all who wait for it. After that, the silence is known. */
const TOKEN_SERVER_FAILURES = 2;

export function openBreakers({ log, policy = BREAKER_POLICY }: BreakersOptions): Breakers {
  const registries = new Map<string, Breaker>();
  const tokenServers = new Map<string, Breaker>();
  const tokenServersOf = new Map<string, Set<Breaker>>();

  return {
    ofRegistry(registry) {
      const breaker = registries.get(registry) ?? openBreaker(registry, { ...policy, log });
      registries.set(registry, breaker);
      return breaker;
    },
    // checked realms only: so there are few of them
    ofTokenServer({ origin, host }, registry) {
      const open = (): Breaker =>
        openBreaker(host, { ...policy, failures: TOKEN_SERVER_FAILURES, log, role: "token server" });
      const breaker = tokenServers.get(origin) ?? open();
      tokenServers.set(origin, breaker);
      const used = tokenServersOf.get(registry) ?? new Set();
      tokenServersOf.set(registry, used.add(breaker));
      return breaker;
    },
    state(registry) {
      const all = [registries.get(registry), ...(tokenServersOf.get(registry) ?? [])];
      return all.map((breaker) => breaker?.state()).find((state) => state !== undefined);
    },
  };
}
