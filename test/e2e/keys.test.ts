import { describe, expect, test } from "vitest";

import { loadConfig } from "../../src/config/file/load.ts";
import { jsonSchema } from "../../src/config/file/schema.ts";
import { writeConfig } from "../support/tagferry.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { CLUSTER_KEYS } from "./keys/clusters.ts";
import { DAEMON_KEYS } from "./keys/daemon.ts";
import { MIRROR_KEYS } from "./keys/mirrors.ts";
import { REGISTRY_KEYS } from "./keys/registries.ts";
import { TAG_KEYS } from "./keys/tags.ts";

/** By the path of the key: shows that the key changes what happens, compared with a run without it. */
export type KeyTests = Readonly<Record<string, () => Promise<unknown>>>;

const TESTS: KeyTests = { ...MIRROR_KEYS, ...TAG_KEYS, ...REGISTRY_KEYS, ...CLUSTER_KEYS, ...DAEMON_KEYS };

type Schema = {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
};

/** Every key that the schema knows, as `registries.*.ca` or `mirrors[].tags.glob`. */
function keysOf(schema: Schema, path = ""): Set<string> {
  const keys = new Set<string>();
  const add = (below: Schema, at: string): void => keysOf(below, at).forEach((key) => keys.add(key));
  for (const [key, below] of Object.entries(schema.properties ?? {})) {
    const at = path === "" ? key : `${path}.${key}`;
    keys.add(at);
    add(below, at);
  }
  for (const below of schema.anyOf ?? []) add(below, path);
  if (schema.items) add(schema.items, `${path}[]`);
  if (typeof schema.additionalProperties === "object") add(schema.additionalProperties, `${path}.*`);
  return keys;
}

const ALL = [...keysOf(jsonSchema() as Schema)];

test("every key of the configuration has its test, and every test its key", () => {
  // a test below shows that a key in `defaults` has the same effect as in the mirror
  const own = ALL.filter((key) => !key.startsWith("defaults.") && key !== "defaults");
  expect(Object.keys(TESTS).toSorted()).toEqual(own.toSorted());
});

describe("the key", () => {
  for (const [key, run] of Object.entries(TESTS))
    test(`${key} changes what happens`, { timeout: 30_000 }, async () => {
      expect.hasAssertions();
      await run();
    });
});

/** A value for each key of a mirror that may stand under `defaults`. */
const VALUES: Readonly<Record<string, object>> = {
  storage: { storage: "source" },
  tags: { tags: ["2"] },
  "tags.all": { tags: { all: true } },
  "tags.exact": { tags: { exact: ["2"] } },
  "tags.glob": { tags: { glob: "2*" } },
  "tags.regex": { tags: { regex: "2.*" } },
  "tags.semver": { tags: { semver: "2" } },
  "tags.exclude": { tags: { all: true, exclude: "2*" } },
  "tags.since": { tags: { all: true, since: "2d" } },
  "tags.newest": { tags: { all: true, newest: 2 } },
  "tags.by": { tags: { all: true, newest: 2, by: "name" } },
  "tags.max": { tags: { all: true, max: 2 } },
  platforms: { platforms: ["linux/s390x"] },
  referrers: { referrers: false },
  takeover: { takeover: true },
  deadline: { deadline: "3m" },
  verifyEvery: { verifyEvery: "2h" },
  maxImageSize: { maxImageSize: "1GiB" },
  labels: { labels: { team: "payments" } },
  referencePolicy: { storage: "source", referencePolicy: "local" },
  prune: { tags: { all: true }, prune: { grace: "2d" } },
  "prune.grace": { tags: { all: true }, prune: { grace: "3d" } },
  "prune.atMost": { tags: { all: true }, prune: { grace: "2d", atMost: 2 } },
  schedule: { schedule: "2 * * * *" },
  timeZone: { schedule: "2 * * * *", timeZone: "Asia/Tokyo" },
  jitter: { schedule: "2 * * * *", jitter: "2m" },
};

describe("under defaults the key", () => {
  const keys = ALL.filter((key) => key.startsWith("defaults.")).map((key) => key.slice("defaults.".length));

  test.for(keys)("%s says the same as in every mirror", async (key) => {
    const value = VALUES[key];
    expect(value, `no value for ${key}`).toBeDefined();
    await using directory = await temporaryDirectory();
    const load = async (mirror: object, defaults?: object): Promise<unknown> => {
      const plain = { source: "quay.io/a/b", target: "imagestream:web/b" };
      const config = { version: 1, mirrors: [{ ...plain, ...mirror }], ...(defaults ? { defaults } : {}) };
      const file = await writeConfig(directory.path, config);
      return (await loadConfig({ file, env: {}, directory: directory.path })).config.mirrors;
    };
    const tags = { tags: ["1"] };
    const bare = "tags" in (value ?? {}) ? {} : tags;
    const asDefault = await load(bare, value);
    expect(asDefault).toEqual(await load({ ...bare, ...value }));
    expect(asDefault).not.toEqual(await load(tags));
  });
});
