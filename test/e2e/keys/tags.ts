import { expect } from "vitest";

import { buildImage, pushTo } from "../../support/images/images.ts";
import { outcomesOf, syncWith } from "../../support/in-process.ts";
import { startRegistry } from "../../support/registry/registry.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import type { KeyTests } from "../keys.test.ts";

const OLD = "2020-01-01T00:00:00Z";
const NEW = "2026-01-01T00:00:00Z";
/** In the order of their names: 1.10, 1.9, 2.0, edge. */
const SOURCE: Readonly<Record<string, string>> = { "1.9": OLD, "1.10": NEW, "2.0": OLD, edge: NEW };

/** Which tags are mirrored under these rules. */
async function mirrored(tags: unknown): Promise<Record<string, string>> {
  await using directory = await temporaryDirectory();
  await using registry = await startRegistry();
  for (const [tag, created] of Object.entries(SOURCE))
    await pushTo(registry, "a/app", buildImage({ seed: tag, layers: 1, created }), tag);
  const report = await syncWith(
    directory,
    {
      registries: { [registry.host]: { plainHttp: true } },
      mirrors: [{ source: `${registry.host}/a/app`, target: `${registry.host}/b/app`, tags }],
    },
    { now: new Date("2026-02-01T00:00:00Z") },
  );
  return outcomesOf(report);
}

const chosen = async (tags: unknown): Promise<string[]> => Object.keys(await mirrored(tags)).toSorted();

export const TAG_KEYS: KeyTests = {
  "mirrors[].tags": async () => {
    expect(await chosen(["1.9"])).toEqual(["1.9"]);
    expect(await chosen(["edge"])).toEqual(["edge"]);
  },
  "mirrors[].tags.all": async () =>
    expect(await chosen({ all: true })).toEqual(["1.10", "1.9", "2.0", "edge"]),
  "mirrors[].tags.exact": async () => expect(await chosen({ exact: ["edge"] })).toEqual(["edge"]),
  "mirrors[].tags.glob": async () => expect(await chosen({ glob: "1.*" })).toEqual(["1.10", "1.9"]),
  "mirrors[].tags.regex": async () => expect(await chosen({ regex: "\\d\\.\\d" })).toEqual(["1.9", "2.0"]),
  "mirrors[].tags.semver": async () => expect(await chosen({ semver: ">=1.10" })).toEqual(["1.10", "2.0"]),
  "mirrors[].tags.exclude": async () =>
    expect(await chosen({ all: true, exclude: ["1.*"] })).toEqual(["2.0", "edge"]),
  "mirrors[].tags.since": async () => {
    expect(await chosen({ all: true, since: "90d" })).toEqual(["1.10", "edge"]);
    expect(await chosen({ all: true, since: "1000w" })).toHaveLength(4);
  },
  "mirrors[].tags.newest": async () => {
    expect(await chosen({ glob: "?.*", newest: 1 })).toEqual(["2.0"]);
    expect(await chosen({ glob: "?.*", newest: 2 })).toEqual(["1.10", "2.0"]);
  },
  "mirrors[].tags.by": async () => {
    expect(await chosen({ all: true, newest: 1 })).toEqual(["2.0"]);
    expect(await chosen({ all: true, newest: 1, by: "name" })).toEqual(["edge"]);
  },
  "mirrors[].tags.max": async () => {
    expect(await mirrored({ all: true, max: 3 })).toEqual({ "*": "TAGS_TOO_MANY" });
    expect(Object.keys(await mirrored({ all: true, max: 4 }))).toHaveLength(4);
  },
};
