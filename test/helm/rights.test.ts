import { beforeAll, describe, expect, test } from "vitest";

import type { AccessRule } from "../support/cluster/access.ts";
import { HELM_TIMEOUT_MS, prepareHelm, type KubeObject, render } from "../support/helm.ts";
import { buildIndex, buildSbom, pushTo, withReferrers } from "../support/images/images.ts";
import { openScene, REPOSITORY, type Scene, STREAM } from "../support/scene.ts";
import type { Run } from "../support/tagferry.ts";

beforeAll(prepareHelm, HELM_TIMEOUT_MS);

type Mirror = Readonly<Record<string, unknown>>;

async function chartFor(mirrors: readonly Mirror[], more: object = {}): Promise<readonly KubeObject[]> {
  const config = {
    version: 1,
    mirrors: mirrors.map((mirror) => ({ source: "quay.io/acme/app", ...mirror })),
  };
  return render({ image: { repository: "registry.example.com/tagferry" }, config, ...more });
}

const verbsOf = (object: KubeObject | undefined): unknown =>
  object?.rules?.flatMap(({ apiGroups, resources, resourceNames = [], verbs }) =>
    resources.map(
      (resource) =>
        `${apiGroups.join()}/${resource}: ${verbs.join(" ")}${resourceNames.length > 0 ? ` of ${resourceNames.join(" ")}` : ""}`,
    ),
  );

/** Of these streams; of all without names. */
function least(...names: readonly string[]): readonly string[] {
  const of = names.length > 0 ? ` of ${names.join(" ")}` : "";
  return [
    "image.openshift.io/imagestreams: list watch create",
    `image.openshift.io/imagestreams: get patch${of}`,
    `image.openshift.io/imagestreams/layers: get update${of}`,
  ];
}
const LEAST = least("app");
const EVENTS = "/events: get create patch";
const IMPORTS = "image.openshift.io/imagestreamimports: create";
const PRUNE = "image.openshift.io/imagestreamtags: delete";

describe("the chart's rights", () => {
  test.for<[string, Mirror, readonly string[]]>([
    ["into the integrated registry", {}, [...LEAST, EVENTS]],
    ["that says so", { storage: "integrated" }, [...LEAST, EVENTS]],
    ["that imports", { storage: "source" }, [...LEAST, IMPORTS, EVENTS]],
    ["through a repository", { storage: "harbor.example.com/a/b" }, [...LEAST, IMPORTS, EVENTS]],
    ["that prunes", { prune: { grace: "7d" } }, [...LEAST, PRUNE, EVENTS]],
  ])("for a mirror %s are just these", async ([, mirror, expected]) => {
    const objects = await chartFor([{ target: "imagestream:web/app", ...mirror }]);
    const roles = objects.filter(({ kind }) => kind.endsWith("Role"));
    expect(roles.map(({ kind, metadata }) => [kind, metadata.namespace])).toEqual([["Role", "web"]]);
    expect(verbsOf(roles[0])).toEqual(expected);
  });

  test("are given where the mirrors write and nowhere else, each namespace what its own mirrors need", async () => {
    const objects = await chartFor(
      [
        { name: "a", target: "imagestream:web/a" },
        { name: "b", target: "imagestream:web/b" },
        { name: "c", target: "imagestream:shop/c", storage: "source" },
        { name: "d", target: "registry.example.com/d" },
      ],
      { rbac: { namespaces: ["later"], events: false } },
    );
    const roles = objects.filter(({ kind }) => kind === "Role");
    expect(Object.fromEntries(roles.map((role) => [role.metadata.namespace, verbsOf(role)]))).toEqual({
      later: least(),
      shop: [...least("c"), IMPORTS],
      web: least("a", "b"),
    });
    for (const { metadata } of roles)
      expect(
        objects.find((one) => one.kind === "RoleBinding" && one.metadata.namespace === metadata.namespace),
      ).toMatchObject({
        roleRef: { kind: "Role", name: metadata.name },
        subjects: [{ kind: "ServiceAccount", name: "tagferry", namespace: "tagferry" }],
      });
  });

  test("follow what the defaults say", async () => {
    const objects = await render({
      image: { repository: "registry.example.com/tagferry" },
      config: {
        version: 1,
        defaults: { storage: "source", prune: { grace: "7d" } },
        mirrors: [
          { source: "quay.io/a/b", target: "imagestream:web/b" },
          { source: "quay.io/a/c", target: "imagestream:shop/c", storage: "integrated" },
        ],
      },
    });
    const roles = objects.filter(({ kind }) => kind === "Role");
    expect(Object.fromEntries(roles.map((role) => [role.metadata.namespace, verbsOf(role)]))).toEqual({
      shop: [...least("c"), PRUNE, EVENTS],
      web: [...least("b"), IMPORTS, PRUNE, EVENTS],
    });
  });

  test("of a source in the integrated registry beside its target are to pull", async () => {
    const source = "image-registry.openshift-image-registry.svc:5000/web/base";
    const [role] = (await chartFor([{ source, target: "imagestream:web/app" }])).filter(
      ({ kind }) => kind === "Role",
    );
    expect(verbsOf(role)).toEqual([...LEAST, "image.openshift.io/imagestreams/layers: get of base", EVENTS]);
  });

  test("are a ClusterRole only for who asks, and none for who has his own", async () => {
    const mirrors = [{ target: "imagestream:web/app" }];
    const wide = await chartFor(mirrors, { rbac: { clusterWide: true } });
    expect(wide.filter(({ kind }) => /Role/.test(kind)).map(({ kind }) => kind)).toEqual([
      "ClusterRole",
      "ClusterRoleBinding",
    ]);
    expect(verbsOf(wide.find(({ kind }) => kind === "ClusterRole"))).toEqual([...least(), EVENTS]);
    const none = await chartFor(mirrors, { rbac: { create: false } });
    expect(none.filter(({ kind }) => /Role/.test(kind))).toEqual([]);
  });
});

/** A cluster that allows what the chart's Roles allow, and nothing else. */
async function openAllowed(mirror: Mirror): Promise<Scene> {
  const objects = await chartFor([{ target: "imagestream:web/app", ...mirror }]);
  const rules = objects
    .filter(({ kind }) => kind === "Role")
    .flatMap(({ metadata, rules: own = [] }): AccessRule[] =>
      own.map(({ verbs, resources, resourceNames }) => ({
        verbs,
        resources,
        ...(resourceNames ? { names: resourceNames } : {}),
        namespaces: metadata.namespace === undefined ? [] : [metadata.namespace],
      })),
    );
  return openScene({ cluster: { users: [{ name: "system:serviceaccount:tagferry:tagferry", rules }] } });
}

function totalsOf({ stdout, stderr }: Run): unknown {
  if (stdout === "") throw new Error(stderr);
  return (JSON.parse(stdout) as { totals: unknown }).totals;
}

function refusals({ cluster }: Scene): readonly string[] {
  return [...cluster.ledger.entries, ...cluster.registryLedger.entries]
    .filter(({ status, authorization }) => status === 403 || (status === 401 && authorization !== undefined))
    .map(({ method, path, status }) => `${method} ${path}: ${status}`);
}

describe("with the chart's rights and no others", () => {
  test.for<[string, Mirror, object]>([
    ["copies", {}, { copied: 2 }],
    ["imports", { storage: "source" }, { imported: 2 }],
  ])("a mirror %s into a stream that is not there yet", async ([, mirror, expected]) => {
    await using scene = await openAllowed(mirror);
    const image = buildIndex({ seed: "one" });
    await pushTo(scene.source, REPOSITORY, withReferrers(image, buildSbom(image)), "1");
    await pushTo(scene.source, REPOSITORY, buildIndex({ seed: "two" }), "2");
    expect(totalsOf(await scene.sync(mirror))).toMatchObject({ ...expected, failed: 0, refused: 0 });
    expect(Object.keys(scene.tags()).toSorted()).toEqual(["1", "2"]);
    await pushTo(scene.source, REPOSITORY, buildIndex({ seed: "three" }), "1");
    expect(totalsOf(await scene.sync(mirror))).toMatchObject({ unchanged: 1, failed: 0 });
    expect(refusals(scene)).toEqual([]);
  });

  test("a mirror prunes, and tells of a failure in an Event", async () => {
    const mirror = { prune: { grace: "1ms", atMost: "50%" } };
    await using scene = await openAllowed(mirror);
    for (const tag of ["1", "2"]) await pushTo(scene.source, REPOSITORY, buildIndex({ seed: tag }), tag);
    await scene.sync(mirror);
    scene.source.untag(REPOSITORY, "2");
    await scene.sync(mirror);
    expect(totalsOf(await scene.sync(mirror))).toMatchObject({ pruned: 1, failed: 0 });
    await pushTo(scene.source, REPOSITORY, buildIndex({ withoutPlatforms: true }), "3");
    for (const run of [await scene.sync(mirror), await scene.sync(mirror)])
      expect(totalsOf(run)).toMatchObject({ refused: 1 });
    const events = scene.cluster.ledger.entries.filter(({ path }) => path.includes("/events"));
    expect(events.map(({ method, status }) => `${method} ${status}`)).toEqual([
      "GET 404",
      "POST 201",
      "GET 200",
      "PATCH 200",
    ]);
    expect(refusals(scene)).toEqual([]);
    expect(scene.cluster.stream(STREAM.namespace, STREAM.name)).toBeDefined();
  });

  test("a stream that no mirror names is refused, in the same namespace", async () => {
    await using scene = await openAllowed({ target: "imagestream:web/other" });
    await pushTo(scene.source, REPOSITORY, buildIndex({ seed: "one" }), "1");
    const run = await scene.sync();
    expect(run.code).not.toBe(0);
    expect(refusals(scene)).not.toEqual([]);
  });

  test("a mirror of another namespace is refused, and told so", async () => {
    await using scene = await openScene({
      cluster: { namespaces: ["web", "shop"], users: await shopOnly() },
    });
    await pushTo(scene.source, REPOSITORY, buildIndex({ seed: "one" }), "1");
    const run = await scene.sync();
    expect(run.code).not.toBe(0);
    expect(run.stdout + run.stderr).toContain("CLUSTER_DENIED");
  });
});

async function shopOnly(): Promise<{ name: string; rules: AccessRule[] }[]> {
  const [role] = (await chartFor([{ target: "imagestream:shop/app" }])).filter(({ kind }) => kind === "Role");
  const rules = (role?.rules ?? []).map(({ verbs, resources }) => ({
    verbs,
    resources,
    namespaces: ["shop"],
  }));
  return [{ name: "system:serviceaccount:tagferry:tagferry", rules }];
}
