import { pino } from "pino";

import { inProcessRateLimit } from "../../src/limits/in-process-rate-limit.ts";
import { type Registry, openRegistry } from "../../src/registry/registry.ts";
import type { RegistryOptions } from "../support/registry/registry.ts";
import { startRegistry } from "../support/registry/registry.ts";
import { startDockerRegistry } from "../support/servers.ts";
import { type OpenStore, storeContract } from "../support/store-contract.ts";

storeContract("a registry of distribution-spec 1.1", () => faultRegistry({}));
storeContract("a registry without referrers API", () =>
  faultRegistry({ behaviour: { referrersApi: false } }),
);
storeContract("docker-registry", async () => overHttp(await startDockerRegistry()));

async function faultRegistry(options: RegistryOptions): Promise<OpenStore> {
  return overHttp(await startRegistry(options));
}

/**
 * One repository of a server, with a client for each side: what the target's client learns is not shared with the
 * source's client.
 */
function overHttp(server: AsyncDisposable & { readonly host: string }): OpenStore {
  const stack = new AsyncDisposableStack();
  stack.use(server);
  const [source, target] = [stack.use(client(server.host)), stack.use(client(server.host))];
  return {
    source: source.repository("team/app"),
    target: target.repository("team/app"),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function client(host: string): Registry {
  return openRegistry({
    registry: host,
    kind: "auto",
    insecure: false,
    plainHttp: true,
    tokenRealms: [],
    credentials: async () => undefined,
    rateLimit: inProcessRateLimit(() => ({ connections: 8 })),
    proxy: () => undefined,
    log: pino({ level: "silent" }),
    retry: { attempts: 2, baseMs: 1, capMs: 1 },
  });
}
