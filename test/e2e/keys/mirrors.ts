import { expect } from "vitest";

import { loadConfig } from "../../../src/config/file/load.ts";
import { openContext } from "../../../src/sync/context.ts";
import { fileProofs } from "../../../src/sync/proofs/proof-file.ts";
import { syncMirrors } from "../../../src/sync/sync.ts";
import { startCluster } from "../../support/cluster/cluster.ts";
import { openDaemonScene, until } from "../../support/daemon-scene.ts";
import { buildImage, buildIndex, pushTo, signCosign } from "../../support/images/images.ts";
import { outcomesOf, syncWith } from "../../support/in-process.ts";
import { SILENT } from "../../support/registry/client.ts";
import { startRegistry, type TestRegistry } from "../../support/registry/registry.ts";
import { steppedClock } from "../../support/stepped-clock.ts";
import { writeConfig } from "../../support/tagferry.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import type { KeyTests } from "../keys.test.ts";

const image = buildImage({ seed: "keys", layers: [1_000, 2_000] });

/** One mirror between two repositories of one registry. */
async function between(
  mirror: object,
  look: (registry: TestRegistry, outcomes: Record<string, string>) => unknown,
  built = image,
): Promise<void> {
  await using directory = await temporaryDirectory();
  await using registry = await startRegistry();
  await pushTo(registry, "a/app", built, "1");
  const report = await syncWith(directory, {
    registries: { [registry.host]: { plainHttp: true } },
    mirrors: [{ source: `${registry.host}/a/app`, target: `${registry.host}/b/app`, tags: ["1"], ...mirror }],
  });
  await look(registry, outcomesOf(report));
}

type StreamWorld = {
  readonly sync: (mirror: object, now?: Date) => Promise<Record<string, string>>;
  readonly source: TestRegistry;
  readonly cluster: Awaited<ReturnType<typeof startCluster>>;
};

/** One mirror into an image stream. */
async function intoStream(look: (world: StreamWorld) => Promise<void>): Promise<void> {
  await using directory = await temporaryDirectory();
  await using source = await startRegistry();
  await using cluster = await startCluster({ namespaces: ["web"] });
  await pushTo(source, "a/app", image, "1");
  const kubeconfigFile = await cluster.writeKubeconfig(directory.path);
  await look({
    source,
    cluster,
    sync: async (mirror, now) =>
      outcomesOf(
        await syncWith(
          directory,
          {
            registries: { [source.host]: { plainHttp: true }, [cluster.registryHost]: { plainHttp: true } },
            clusters: { here: { kubeconfigFile, registry: cluster.registryHost, owner: "test" } },
            mirrors: [
              {
                source: `${source.host}/a/app`,
                target: "imagestream:web/app",
                tags: { all: true },
                ...mirror,
              },
            ],
          },
          now ? { now } : {},
        ),
      ),
  });
}

const blobsSent = ({ cluster }: StreamWorld): number =>
  cluster.registryLedger.count({ method: "PUT", kind: "upload" });

/** Several tags that are gone at the source, after their first complete listing without them. */
async function afterLoss(prune: object | undefined, days: number): Promise<Record<string, string>> {
  let outcomes: Record<string, string> = {};
  await intoStream(async ({ sync, source }) => {
    for (const tag of ["2", "3", "4", "5"]) await pushTo(source, "a/app", image, tag);
    const mirror = prune ? { prune } : {};
    await sync(mirror, new Date("2026-01-01"));
    for (const tag of ["2", "3", "4"]) source.untag("a/app", tag);
    await sync(mirror, new Date("2026-01-02"));
    outcomes = await sync(mirror, new Date(Date.parse("2026-01-02") + days * 86_400_000));
  });
  return outcomes;
}

/** How often a mirror with this schedule is checked in so many minutes. */
async function checksWithin(minutes: number, schedule: object): Promise<number> {
  await using scene = await openDaemonScene();
  await pushTo(scene.source, "a/app", image, "1");
  const mirror = { source: `${scene.source.host}/a/app`, target: "imagestream:web/app", tags: ["1"] };
  await scene.configure([{ ...mirror, ...schedule }]);
  const { view } = await scene.start();
  const runs = async (): Promise<number> => (await view.runs()).length;
  if ("schedule" in schedule) await until(async () => (await runs()) === 1);
  const before = await runs();
  for (let minute = 0; minute < minutes; minute += 10) {
    scene.clock.pass(10);
    await until(
      async () => (await view.health()).jobs?.active === 0 && (await view.health()).jobs?.waiting === 0,
    );
  }
  return (await runs()) - before;
}

export const MIRROR_KEYS: KeyTests = {
  mirrors: () => between({}, (_registry, outcomes) => expect(outcomes).toEqual({ "1": "copied" })),
  "mirrors[].name": async () => {
    await using directory = await temporaryDirectory();
    await using registry = await startRegistry();
    const mirror = { source: `${registry.host}/a/app`, target: `${registry.host}/b/app`, tags: ["1"] };
    const registries = { [registry.host]: { plainHttp: true } };
    const nameOf = async (more: object): Promise<string | undefined> =>
      (await syncWith(directory, { registries, mirrors: [{ ...mirror, ...more }] })).mirrors[0]?.mirror;
    expect(await nameOf({})).toBe("b-app");
    expect(await nameOf({ name: "mine" })).toBe("mine");
  },
  "mirrors[].source": () =>
    between({}, (registry) => expect(registry.ledger.count({ path: /\/v2\/a\/app\// })).toBeGreaterThan(0)),
  "mirrors[].target": () =>
    between({}, (registry) => expect(registry.digestOf("b/app", "1")).toBe(image.manifest.digest)),
  "mirrors[].storage": async () => {
    await intoStream(async (world) => {
      expect(await world.sync({})).toEqual({ "1": "copied" });
      expect(blobsSent(world)).toBeGreaterThan(0);
    });
    await intoStream(async (world) => {
      expect(await world.sync({ storage: "source" })).toEqual({ "1": "imported" });
      expect(blobsSent(world)).toBe(0);
    });
  },
  "mirrors[].platforms": async () => {
    const index = buildIndex({ seed: "keys", layers: 1 });
    const stored = (registry: TestRegistry): number =>
      registry.ledger.count({ method: "PUT", kind: "manifest", status: 201 });
    await between({ referrers: false }, (registry) => expect(stored(registry)).toBe(6), index);
    await using directory = await temporaryDirectory();
    await using source = await startRegistry();
    await using target = await startRegistry({ behaviour: { sparseIndex: true, verifyReferences: false } });
    await pushTo(source, "a/app", index, "1");
    await syncWith(directory, {
      registries: {
        [source.host]: { plainHttp: true },
        [target.host]: { plainHttp: true, kind: "openshift" },
      },
      mirrors: [
        {
          source: `${source.host}/a/app`,
          target: `${target.host}/b/app`,
          tags: ["1"],
          platforms: ["linux/amd64"],
          referrers: false,
        },
      ],
    });
    expect(target.ledger.count({ method: "PUT", kind: "manifest", status: 201 })).toBe(2);
    expect(target.digestOf("b/app", "1")).toBe(index.manifest.digest);
  },
  "mirrors[].referrers": async () => {
    const signed = signCosign(image);
    const tag = `${signed.manifest.digest.replace(":", "-")}.sig`;
    await between({}, (registry) => expect(registry.digestOf("b/app", tag)).toBeDefined(), signed);
    await between(
      { referrers: false },
      (registry) => expect(registry.digestOf("b/app", tag)).toBeUndefined(),
      signed,
    );
  },
  "mirrors[].deadline": async () => {
    await using directory = await temporaryDirectory();
    await using registry = await startRegistry();
    await pushTo(registry, "a/app", image, "1");
    const never = Promise.withResolvers<void>();
    registry.before(({ kind }) => (kind === "tags" ? never.promise : undefined));
    const report = await syncWith(directory, {
      registries: { [registry.host]: { plainHttp: true } },
      mirrors: [
        {
          source: `${registry.host}/a/app`,
          target: `${registry.host}/b/app`,
          tags: { all: true },
          deadline: "300ms",
        },
      ],
    });
    never.resolve();
    expect(outcomesOf(report)).toEqual({ "*": "CHECK_DEADLINE" });
  },
  "mirrors[].maxImageSize": async () => {
    const outcome = async (mirror: object): Promise<string | undefined> => {
      await using directory = await temporaryDirectory();
      await using registry = await startRegistry();
      await pushTo(registry, "a/app", buildImage({ layers: [20_000] }), "1");
      const report = await syncWith(directory, {
        registries: { [registry.host]: { plainHttp: true } },
        mirrors: [
          { source: `${registry.host}/a/app`, target: `${registry.host}/b/app`, tags: ["1"], ...mirror },
        ],
      });
      return outcomesOf(report)["1"];
    };
    expect(await outcome({ maxImageSize: "10KiB" })).toBe("IMAGE_TOO_LARGE");
    expect(await outcome({ maxImageSize: "1MiB" })).toBe("copied");
  },
  "mirrors[].verifyEvery": async () => {
    const questions = async (mirror: object): Promise<number> => {
      await using directory = await temporaryDirectory();
      await using registry = await startRegistry();
      await pushTo(registry, "a/app", image, "1");
      const file = await writeConfig(directory.path, {
        version: 1,
        registries: { [registry.host]: { plainHttp: true } },
        mirrors: [
          { source: `${registry.host}/a/app`, target: `${registry.host}/b/app`, tags: ["1"], ...mirror },
        ],
      });
      const { config } = await loadConfig({ file, env: {}, directory: directory.path });
      const proofs = fileProofs(directory.join("proofs.json"));
      await using context = openContext({ config, env: {}, log: SILENT, proofs });
      const startMs = Date.now();
      let nowMs = startMs;
      const run = async (): Promise<unknown> => {
        const clock = (): Date => new Date(nowMs);
        return syncMirrors(config.mirrors, context, { clock, now: clock() });
      };
      await run();
      registry.ledger.clear();
      nowMs = startMs + 3 * 3_600_000;
      await run();
      return registry.ledger.count({ repository: "b/app", method: "HEAD", kind: "blob" });
    };
    expect(await questions({ verifyEvery: "2h" })).toBe(image.blobs.size);
    expect(await questions({ verifyEvery: "900d" })).toBe(0);
  },
  "mirrors[].takeover": async () => {
    const seeded = async (mirror: object): Promise<Record<string, string>> => {
      let outcomes: Record<string, string> = {};
      await intoStream(async ({ sync, cluster }) => {
        cluster.seedStream("web", "app", { tags: { "1": { from: "quay.example/other/app:1" } } });
        outcomes = await sync(mirror);
      });
      return outcomes;
    };
    expect(await seeded({})).toEqual({ "1": "STREAM_TAKEOVER" });
    expect(await seeded({ takeover: true })).toEqual({ "1": "copied" });
  },
  "mirrors[].referencePolicy": async () => {
    const policy = async (mirror: object): Promise<string | undefined> => {
      let type: string | undefined;
      await intoStream(async ({ sync, cluster }) => {
        await sync({ storage: "source", ...mirror });
        type = cluster.stream("web", "app")?.spec?.tags?.[0]?.referencePolicy?.type;
      });
      return type;
    };
    expect(await policy({})).toBe("Source");
    expect(await policy({ referencePolicy: "local" })).toBe("Local");
  },
  "mirrors[].prune": async () => {
    expect(Object.values(await afterLoss(undefined, 30))).not.toContain("pruned");
    expect(Object.values(await afterLoss({ grace: "7d", atMost: 10 }, 30))).toContain("pruned");
  },
  "mirrors[].prune.grace": async () => {
    expect(Object.values(await afterLoss({ grace: "7d", atMost: 10 }, 6))).not.toContain("pruned");
    expect(Object.values(await afterLoss({ grace: "5d", atMost: 10 }, 6))).toContain("pruned");
  },
  "mirrors[].prune.atMost": async () => {
    const pruned = async (atMost: number): Promise<number> =>
      Object.values(await afterLoss({ grace: "1d", atMost }, 9)).filter((word) => word === "pruned").length;
    // a limit: when more tags would be pruned than allowed, none is pruned
    expect(await pruned(2)).toBe(0);
    expect(await pruned(3)).toBe(3);
  },
  "mirrors[].labels": async () => {
    await using scene = await openDaemonScene();
    const mirror = { source: `${scene.source.host}/a/app`, tags: ["1"] };
    await scene.configure([
      { ...mirror, target: "imagestream:web/one", labels: { team: "payments" } },
      { ...mirror, target: "imagestream:web/other" },
    ]);
    const { view } = await scene.start();
    expect((await view.mirrors()).map(({ labels }) => labels)).toEqual([{ team: "payments" }, undefined]);
  },
  "mirrors[].schedule": async () => {
    expect(await checksWithin(60, {})).toBe(0);
    expect(await checksWithin(60, { schedule: "*/20 * * * *" })).toBe(3);
  },
  "mirrors[].timeZone": async () => {
    // the clock begins at midnight in UTC, which is 9 in Tokyo
    expect(await checksWithin(120, { schedule: "0 10 * * *" })).toBe(0);
    expect(await checksWithin(120, { schedule: "0 10 * * *", timeZone: "Asia/Tokyo" })).toBe(1);
  },
  "mirrors[].jitter": async () => {
    const clock = steppedClock(new Date("2026-03-01T00:00:00Z"));
    const delayed = async (jitter: object): Promise<number> => {
      await using scene = await openDaemonScene();
      await pushTo(scene.source, "a/app", image, "1");
      const mirror = { source: `${scene.source.host}/a/app`, target: "imagestream:web/app", tags: ["1"] };
      await scene.configure([{ ...mirror, schedule: "0 * * * *", ...jitter }]);
      const { view } = await scene.start({ clock, workers: 0 });
      await until(async () => {
        const jobs = (await view.health()).jobs;
        return (jobs?.delayed ?? 0) + (jobs?.waiting ?? 0) === 1;
      });
      return (await view.health()).jobs?.delayed ?? 0;
    };
    expect(await delayed({})).toBe(0);
    expect(await delayed({ jitter: "30m" })).toBe(1);
  },
};
