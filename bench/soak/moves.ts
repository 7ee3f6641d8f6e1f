import type { TestCluster } from "../../test/support/cluster/cluster.ts";
import type { RegistryHooks } from "../../test/support/registry/handler.ts";
import { type RegistryStore, storeManifest } from "../../test/support/registry/store.ts";

/** One tag of one mirror, where it is published, and what the source's tag pointed at, oldest first. */
export type SoakTag = {
  readonly mirror: string;
  readonly tag: string;
  readonly target: "stream" | "registry";
  readonly moves: string[];
};

/** What the target's tags pointed at, oldest first: `mirror:tag` to digests. */
export type TargetLedger = ReadonlyMap<string, readonly string[]>;

export const NAMESPACE = "web";
export const sourceRepository = (mirror: string): string => `team/${mirror}`;
export const targetRepository = (mirror: string): string => `copies/${mirror}`;
export const keyOf = ({ mirror, tag }: Pick<SoakTag, "mirror" | "tag">): string => `${mirror}:${tag}`;

/** A hook for the registry with this store: it stores manifests, and notes every one that is stored under a tag. */
export function registryLedger(store: RegistryStore): {
  readonly seen: TargetLedger;
  readonly putManifest: RegistryHooks["putManifest"];
} {
  const seen = new Map<string, string[]>();
  return {
    seen,
    putManifest(repository, manifest, tag) {
      const { digest } = manifest;
      storeManifest(store, repository, manifest, tag);
      if (tag === undefined) return undefined;
      const key = `${repository.replace(/^copies\//, "")}:${tag}`;
      const digests = seen.get(key) ?? [];
      seen.set(key, digests);
      if (digests.at(-1) !== digest) digests.push(digest);
      return undefined;
    },
  };
}

/** The history that image streams keep themselves. */
export function streamLedger(cluster: TestCluster, tags: readonly SoakTag[]): TargetLedger {
  const mirrors = new Set(tags.flatMap(({ target, mirror }) => (target === "stream" ? [mirror] : [])));
  return new Map(
    [...mirrors].flatMap((mirror) =>
      (cluster.stream(NAMESPACE, mirror)?.status.tags ?? []).map(
        ({ tag, items }) =>
          [`${mirror}:${tag}`, (items ?? []).map(({ image }) => image).toReversed()] as const,
      ),
    ),
  );
}

export type Judgement = {
  /** Changes of target tags. */
  readonly published: number;
  /** A target's tag pointed at an older image than before, or at one that its source never had. */
  readonly wentBack: readonly string[];
  /** In the end it is not what the source's tag is. */
  readonly behind: readonly string[];
  /** The target has tags that nobody asked for. */
  readonly foreign: readonly string[];
};

/** Each image of a source's tag is another one, so its place in the moves says how old it is. */
export function judge(tags: readonly SoakTag[], ledger: TargetLedger): Judgement {
  const known = new Map(tags.map((entry) => [keyOf(entry), entry]));
  return {
    published: [...ledger.values()].reduce((sum, digests) => sum + digests.length, 0),
    wentBack: tags.flatMap((entry) => stepsBack(entry, ledger.get(keyOf(entry)) ?? [])),
    behind: tags.flatMap((entry) =>
      ledger.get(keyOf(entry))?.at(-1) === entry.moves.at(-1) ? [] : [keyOf(entry)],
    ),
    foreign: [...ledger.keys()].filter((key) => !known.has(key)),
  };
}

function stepsBack(entry: SoakTag, digests: readonly string[]): readonly string[] {
  let before = -1;
  return digests.flatMap((digest) => {
    const position = entry.moves.indexOf(digest);
    const isBack = position < before || position === -1;
    if (isBack) return [`${keyOf(entry)}: image ${position} after image ${before} (${digest})`];
    before = position;
    return [];
  });
}
