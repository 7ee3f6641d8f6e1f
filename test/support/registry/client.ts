import { pino } from "pino";

import { inProcessRateLimit } from "../../../src/limits/in-process-rate-limit.ts";
import { openRegistry, type Registry, type RegistryOptions } from "../../../src/registry/registry.ts";

export const SILENT = pino({ level: "silent" });

/** A client of a registry on this machine: no TLS, no credentials, quick retries. */
export function registryClient(host: string, options: Partial<RegistryOptions> = {}): Registry {
  const { timeouts, ...others } = options;
  return openRegistry({
    registry: host,
    kind: "auto",
    insecure: false,
    plainHttp: true,
    tokenRealms: ["127.0.0.1"], // token servers of tests have a port of their own
    credentials: async () => undefined,
    rateLimit: inProcessRateLimit(() => ({ connections: 8 })),
    proxy: () => undefined,
    log: SILENT,
    retry: { attempts: 3, baseMs: 1, capMs: 1 },
    timeouts: { resumePauseMs: 1, freshTokenPauseMs: 1, ...timeouts },
    ...others,
  });
}

/** Credentials that every repository of every registry is asked with. */
export function loggedIn(username: string, password: string): RegistryOptions["credentials"] {
  return async () => ({ credential: { kind: "basic", username, password }, from: "the test" });
}
