import { writeFile } from "node:fs/promises";

import { expect } from "vitest";

import { readOwnership } from "../../../src/openshift/ownership.ts";
import { startCluster, type TestCluster } from "../../support/cluster/cluster.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";
import { outcomesOf, syncWith } from "../../support/in-process.ts";
import { startRegistry } from "../../support/registry/registry.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../../support/temporary.ts";
import type { KeyTests } from "../keys.test.ts";

const image = buildImage({ seed: "keys", layers: [1_000] });

type Facts = {
  readonly cluster: TestCluster;
  readonly directory: TemporaryDirectory;
  readonly kubeconfigFile: string;
};

/** Mirrors into a stream of a cluster that is reached as `settings` says. */
async function mirrored(
  settings: (facts: Facts) => Promise<object> | object,
  look: (facts: Facts, outcomes: Record<string, string>) => unknown,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  await using directory = await temporaryDirectory();
  await using source = await startRegistry();
  await using cluster = await startCluster({ namespaces: ["web"] });
  await pushTo(source, "a/app", image, "1");
  const facts: Facts = { cluster, directory, kubeconfigFile: await cluster.writeKubeconfig(directory.path) };
  const plain = { plainHttp: true };
  const report = await syncWith(
    directory,
    {
      registries: {
        [source.host]: plain,
        [cluster.registryHost]: plain,
        [cluster.publicRegistryHost]: plain,
      },
      clusters: { here: await settings(facts) },
      mirrors: [{ source: `${source.host}/a/app`, target: "imagestream:web/app", tags: ["1"] }],
    },
    { env: { HOME: directory.path, ...env } },
  );
  await look(facts, outcomesOf(report));
}

export const CLUSTER_KEYS: KeyTests = {
  clusters: withKubeconfig,
  "clusters.*.kubeconfigFile": withKubeconfig,
  "clusters.*.context": async () => {
    const inContext = (context: string): Promise<void> =>
      mirrored(
        ({ kubeconfigFile }) => ({ kubeconfigFile, context }),
        (_facts, outcomes) =>
          expect(outcomes).toEqual(context === "nowhere" ? { "*": "CLUSTER_CONFIG" } : { "1": "copied" }),
      );
    await inContext("nowhere");
    await mirrored(
      async ({ cluster, directory }) => {
        const text = cluster.kubeconfig;
        const name = /current-context: (\S+)/.exec(text)?.[1] ?? "";
        await writeFile(
          directory.join("other"),
          text.replace(/current-context: \S+/, "current-context: gone"),
        );
        return { kubeconfigFile: directory.join("other"), context: name };
      },
      (_facts, outcomes) => expect(outcomes).toEqual({ "1": "copied" }),
    );
  },
  "clusters.*.registry": async () => {
    const pushedTo = (registry: (cluster: TestCluster) => object, host: (cluster: TestCluster) => string) =>
      mirrored(
        ({ cluster, kubeconfigFile }) => ({ kubeconfigFile, ...registry(cluster) }),
        ({ cluster }, outcomes) => {
          expect(outcomes).toEqual({ "1": "copied" });
          const asked = cluster.registryLedger.entries.map(({ headers }) => headers["host"]);
          expect(new Set(asked)).toEqual(new Set([host(cluster)]));
        },
      );
    await pushedTo(
      ({ registryHost }) => ({ registry: registryHost }),
      ({ registryHost }) => registryHost,
    );
    await pushedTo(
      ({ publicRegistryHost }) => ({ registry: publicRegistryHost }),
      ({ publicRegistryHost }) => publicRegistryHost,
    );
  },
  "clusters.*.owner": async () => {
    const installation = (owner: object, look: (name: string | undefined) => unknown): Promise<void> =>
      mirrored(
        ({ kubeconfigFile }) => ({ kubeconfigFile, ...owner }),
        ({ cluster }) => {
          const stream = cluster.stream("web", "app");
          return look(
            stream && readOwnership(stream as Parameters<typeof readOwnership>[0]).get("1")?.installation,
          );
        },
      );
    await installation({ owner: "team" }, (name) => expect(name).toBe("team"));
    await installation({}, (name) => expect(name).not.toBe("team"));
  },
};

async function withKubeconfig(): Promise<void> {
  await mirrored(
    () => ({}),
    (_facts, outcomes) => expect(outcomes).toEqual({ "*": "CLUSTER_CONFIG" }),
  );
  await mirrored(
    ({ kubeconfigFile }) => ({ kubeconfigFile }),
    (_facts, outcomes) => expect(outcomes).toEqual({ "1": "copied" }),
  );
}
