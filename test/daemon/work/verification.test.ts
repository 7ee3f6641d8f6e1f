import { expect, test } from "vitest";

import type { Digest } from "../../../src/oci/digest.ts";
import type { Outcome } from "../../../src/sync/report.ts";
import { openDaemonScene, until } from "../../support/daemon-scene.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";
import { startRegistry } from "../../support/registry/registry.ts";

const image = buildImage({ layers: 2 });
const [, layer = image.manifest.digest] = image.blobs.keys();
const STEP_MINUTES = 10;

/** Where the bytes of a mirror are, as a test can damage them. */
type Stored = {
  readonly target: string;
  readonly storage?: string;
  readonly lose: (digest: Digest) => void;
  readonly has: (digest: Digest) => boolean;
};

test.for(["a stream", "a stream that imports from a repository", "a registry"] as const)(
  "a blob that was lost under a fresh tag of %s is sent again within `verifyEvery`, and no trigger fires",
  async (kind) => {
    await using scene = await openDaemonScene();
    await using registry = await startRegistry();
    const { source, cluster, clock } = scene;
    const { registryStore } = cluster;
    const atRegistry = {
      lose: (digest: Digest) => registry.deleteBlob("mirror/app", digest),
      has: (digest: Digest) => registry.hasBlob("mirror/app", digest),
    };
    const stored = {
      "a stream": {
        target: "imagestream:web/app",
        lose: (digest: Digest) => {
          cluster.registry.deleteBlob("web/app", digest);
          registryStore.blobs.delete(digest);
        },
        has: (digest: Digest) => cluster.registry.hasBlob("web/app", digest),
      },
      "a stream that imports from a repository": {
        target: "imagestream:web/app",
        storage: `${registry.host}/mirror/app`,
        ...atRegistry,
      },
      "a registry": { target: `${registry.host}/mirror/app`, ...atRegistry },
    } satisfies Record<string, Stored>;
    const { target, storage, lose, has }: Stored = stored[kind];
    await pushTo(source, "library/app", image, "1");
    const hosts = [source.host, cluster.registryHost, registry.host];
    await scene.configure(
      [
        {
          name: "app",
          source: `${source.host}/library/app`,
          target,
          tags: ["1"],
          verifyEvery: "1h",
          ...(storage === undefined ? {} : { storage }),
        },
      ],
      { registries: Object.fromEntries(hosts.map((host) => [host, { plainHttp: true }])) },
    );
    const { view } = await scene.start({ schedules: false });
    const run = async (): Promise<Outcome | undefined> => {
      const before = (await view.runs()).length;
      clock.pass(STEP_MINUTES);
      await view.sync("app", "a test");
      await until(async () => (await view.runs()).filter(({ state }) => state !== "running").length > before);
      return (await view.runs())[0]?.outcomes[0];
    };
    expect((await run())?.kind).toBe(storage === undefined ? "copied" : "imported");
    cluster.subscribe("web", "app", "1");
    const version = cluster.stream("web", "app")?.metadata.resourceVersion;
    registry.ledger.clear();
    cluster.registryLedger.clear();
    lose(layer);
    expect(has(layer)).toBe(false);

    let minutes = 0;
    let outcome: Outcome | undefined;
    do {
      outcome = await run();
      minutes += STEP_MINUTES;
    } while (outcome?.kind === "unchanged" && minutes < 600);
    expect(outcome).toMatchObject({ kind: "copied", healed: { content: 1, digests: [layer] } });
    expect(minutes).toBeLessThanOrEqual(60);
    expect(has(layer)).toBe(true);
    for (const ledger of [registry.ledger, cluster.registryLedger])
      expect(ledger.count({ method: "PUT", kind: "manifest", reference: "1" })).toBe(0);
    expect(cluster.fires).toEqual([]);
    expect(cluster.stream("web", "app")?.metadata.resourceVersion).toBe(version);
    expect((await run())?.kind).toBe("unchanged");
  },
);
