import { assert, asyncProperty, constantFrom, oneof, stringMatching, uniqueArray } from "fast-check";
import { expect, test } from "vitest";

import { loadConfig } from "../../src/config/file/load.ts";
import { OWNERSHIP_ANNOTATION } from "../../src/openshift/ownership.ts";
import { openContext } from "../../src/sync/context.ts";
import { fileProofs } from "../../src/sync/proofs/proof-file.ts";
import type { Outcome, Report } from "../../src/sync/report.ts";
import { planMirrors, syncMirrors } from "../../src/sync/sync.ts";
import { startCluster, type TestCluster } from "../support/cluster/cluster.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import { SILENT } from "../support/registry/client.ts";
import { startRegistry } from "../support/registry/registry.ts";
import { writeConfig } from "../support/tagferry.ts";
import { temporaryDirectory } from "../support/temporary.ts";

/** Tags that are also names of JavaScript's own properties, or that objects sort as numbers. */
const ODD = [
  "__proto__",
  "constructor",
  "toString",
  "valueOf",
  "hasOwnProperty",
  "isPrototypeOf",
  "__defineGetter__",
  "__lookupSetter__",
  "prototype",
  "length",
  "then",
  "toJSON",
  "0",
  "10",
  "9",
  "_1",
] as const;

const image = buildImage({ seed: "odd", layers: [100] });
const DAY_MS = 86_400_000;
const START = Date.parse("2026-06-10T00:00:00Z");

function kinds({ mirrors }: Report): readonly (readonly [string, string])[] {
  return (mirrors[0]?.outcomes ?? [])
    .map(
      (outcome: Outcome) =>
        [outcome.tag, "failure" in outcome ? outcome.failure.code : outcome.kind] as const,
    )
    .toSorted(([one], [other]) => (one < other ? -1 : 1));
}

function streamTags(cluster: TestCluster): readonly string[] {
  const tags = cluster.stream("web", "app")?.status.tags ?? [];
  return tags
    .filter(({ items }) => (items?.length ?? 0) > 0)
    .map(({ tag }) => tag)
    .toSorted();
}

function ownedTags(cluster: TestCluster): readonly string[] {
  const text = cluster.stream("web", "app")?.metadata.annotations?.[OWNERSHIP_ANNOTATION] ?? '{"tags":{}}';
  const { tags } = JSON.parse(text) as { readonly tags: object };
  return Object.keys(tags).toSorted();
}

async function mirrored(names: readonly string[], how: "integrated" | "source" | "pinned"): Promise<void> {
  await using directory = await temporaryDirectory();
  await using source = await startRegistry();
  await using cluster = await startCluster({ namespaces: ["web"] });
  const all = ["kept", ...names].toSorted();
  for (const tag of all) await pushTo(source, "a/app", image, tag);
  const rules = { tags: { all: true }, prune: { grace: "1d", atMost: "100%" } };
  const pinned = { tags: all.map((tag) => `${tag}@${image.manifest.digest}`) };
  const file = await writeConfig(directory.path, {
    version: 1,
    registries: { [source.host]: { plainHttp: true }, [cluster.registryHost]: { plainHttp: true } },
    clusters: {
      here: {
        kubeconfigFile: await cluster.writeKubeconfig(directory.path),
        registry: cluster.registryHost,
      },
    },
    mirrors: [
      {
        source: `${source.host}/a/app`,
        target: "imagestream:web/app",
        storage: how === "source" ? "source" : "integrated",
        ...(how === "pinned" ? pinned : rules),
      },
    ],
  });
  const { config } = await loadConfig({ file, env: {}, directory: directory.path });
  const proofs = directory.join("proofs.json");
  const run = async (days: number): Promise<readonly (readonly [string, string])[]> => {
    await using kept = fileProofs(proofs, () => new Date(START + days * DAY_MS));
    await using context = openContext({ config, env: {}, log: SILENT, proofs: kept });
    const clock = (): Date => new Date(START + days * DAY_MS);
    const [planned] = await planMirrors(config.mirrors, context, { clock });
    const report = await syncMirrors(config.mirrors, context, { clock });
    if (planned?.kind !== "planned") throw new Error("there is no plan");
    const actions = planned.plan.actions.map(({ tag }) => tag).toSorted();
    expect(actions, "the plan has every tag that the report has").toEqual(kinds(report).map(([tag]) => tag));
    return kinds(report);
  };
  const done = how === "source" ? "imported" : "copied";
  expect(await run(0)).toEqual(all.map((tag) => [tag, done]));
  expect(streamTags(cluster)).toEqual(all);
  expect(ownedTags(cluster)).toEqual(all);
  expect(await run(0), "the second run changes nothing").toEqual(all.map((tag) => [tag, "unchanged"]));
  await using records = fileProofs(proofs);
  const proved = [...(await records.read("imagestream:web/app")).keys()].toSorted();
  expect(proved).toEqual(all);
  if (how === "pinned") return;
  for (const tag of names) source.untag("a/app", tag);
  expect((await run(1)).filter(([, kind]) => kind === "missing").map(([tag]) => tag)).toEqual(
    names.toSorted(),
  );
  expect((await run(3)).filter(([, kind]) => kind === "pruned").map(([tag]) => tag)).toEqual(
    names.toSorted(),
  );
  expect(streamTags(cluster)).toEqual(["kept"]);
  expect(ownedTags(cluster)).toEqual(["kept"]);
}

test.for(["integrated", "source", "pinned"] as const)(
  "tags of any name are mirrored, found again and pruned: %s",
  { timeout: 120_000 },
  async (how) => {
    expect.hasAssertions();
    await mirrored(ODD, how);
    const tag = oneof(constantFrom(...ODD), stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}$/));
    const names = uniqueArray(
      tag.filter((name) => name !== "kept"),
      { minLength: 1, maxLength: 6 },
    );
    await assert(
      asyncProperty(names, (some) => mirrored(some, how)),
      { numRuns: 4, seed: 20_260_610 },
    );
  },
);
