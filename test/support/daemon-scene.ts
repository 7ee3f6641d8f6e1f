import { writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

import { loadConfig } from "../../src/config/file/load.ts";
import { type Daemon, type DaemonOptions, openDaemon } from "../../src/daemon/daemon.ts";
import { checkSchedules } from "../../src/daemon/triggers/check-schedules.ts";
import { checkTagRules } from "../../src/plan/patterns.ts";
import { startCluster, type ClusterOptions, type TestCluster } from "./cluster/cluster.ts";
import { SILENT } from "./registry/client.ts";
import { startRegistry, type TestRegistry } from "./registry/registry.ts";
import { steppedClock, type SteppedClock } from "./stepped-clock.ts";
import { temporaryDirectory } from "./temporary.ts";

/** A source, a cluster and a configuration file. Tests can start daemons with them. */
export type DaemonScene = AsyncDisposable & {
  readonly source: TestRegistry;
  readonly cluster: TestCluster;
  readonly file: string;
  readonly clock: SteppedClock;
  /** Writes the file with these mirrors and other top-level keys. */
  configure(mirrors: readonly object[], more?: object): Promise<void>;
  start(options?: Partial<DaemonOptions>): Promise<Daemon>;
};

export async function openDaemonScene(
  options: { readonly cluster?: ClusterOptions } = {},
): Promise<DaemonScene> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const source = stack.use(await startRegistry());
  const cluster = stack.use(await startCluster({ namespaces: ["web"], ...options.cluster }));
  const kubeconfigFile = await cluster.writeKubeconfig(directory.path);
  const file = directory.join("tagferry.yaml");
  const clock = steppedClock(new Date("2026-03-01T00:00:00Z"));
  const load = (): ReturnType<typeof loadConfig> =>
    loadConfig({ file, env: {}, directory: "/", checks: [checkTagRules, checkSchedules] });
  const owned = stack.move();
  return {
    source,
    cluster,
    file,
    clock,
    async configure(mirrors, more = {}) {
      const config = {
        version: 1,
        registries: { [source.host]: { plainHttp: true }, [cluster.registryHost]: { plainHttp: true } },
        clusters: { here: { kubeconfigFile, registry: cluster.registryHost, owner: "test" } },
        mirrors,
        ...more,
      };
      await writeFile(file, JSON.stringify(config)); // JSON is YAML
    },
    async start(daemonOptions = {}) {
      const daemon = await openDaemon({
        first: await (daemonOptions.load ?? load)(),
        load,
        env: {},
        log: SILENT,
        version: "test",
        schedules: true,
        clock,
        ...daemonOptions,
      });
      owned.defer(() => daemon.stop({ signal: AbortSignal.timeout(2_000) }));
      return daemon;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Repeats a check until it succeeds. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  { timeoutMs = 10_000 }: { readonly timeoutMs?: number } = {},
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs)
      throw new Error(`it did not come true in ${timeoutMs} ms: ${condition.toString()}`);
    await delay(10);
  }
}
